//! The RPCs as JSON.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::TestServer;

#[tokio::test]
async fn both_spellings_are_read_and_the_protos_is_written() {
    let server = TestServer::start().await;
    for body in
        [json!({"id": "a", "admin_username": "ann"}), json!({"id": "a", "adminUsername": "ann"})]
    {
        let request = server.request(Method::POST, "/api/v1/tenants").json(&body);
        let tenant: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(tenant["name"], "ann", "{body}");
        assert_eq!(tenant["is_active"], false, "default values are written");
        assert_eq!(tenant["status"], "STATUS_UNSPECIFIED");
    }
}

#[tokio::test]
async fn the_path_decides_whose_org_it_is() {
    let server = TestServer::start().await;
    let body = json!({"id": "hq", "tenant_id": "other"});
    let request = server.request(Method::POST, "/api/v1/tenants/acme/orgs").json(&body);
    let operation: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(operation["tenant_id"], "acme");
    assert_eq!(operation["org_id"], "hq");
    assert_eq!(operation["state"], "PENDING");
}

#[tokio::test]
async fn a_body_may_be_left_out() {
    let server = TestServer::start().await;
    let request = server.request(Method::POST, "/api/v1/operations/o1:wait");
    let operation: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(operation["id"], "o1");
}

#[tokio::test]
async fn the_idempotency_key_is_the_bodys_or_the_headers() {
    let server = TestServer::start().await;
    for (body, key) in
        [(json!({"id": "a"}), "from-header"), (json!({"id": "a", "request_id": "b"}), "b")]
    {
        let request = server.request(Method::POST, "/api/v1/tenants").json(&body);
        let response = request.header("Idempotency-Key", "from-header").send().await.unwrap();
        let tenant: Value = response.json().await.unwrap();
        assert_eq!(tenant["plan"], key);
    }
    let request = server.request(Method::POST, "/api/v1/tenants").json(&json!({"id": "a"}));
    let response = request.header("Idempotency-Key", "k".repeat(129)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_request_id_is_taken_or_made_and_always_echoed() {
    let server = TestServer::start().await;
    let tagged = |path| server.anonymous(Method::GET, path).header("x-request-id", "trace-42");
    for path in ["/healthz", "/nowhere", "/api/v1/auth/me"] {
        let response = tagged(path).send().await.unwrap();
        assert_eq!(response.headers()["x-request-id"], "trace-42", "{path}");
    }
    let made = server.get("/api/v1/auth/me").await;
    let id = made.headers()["x-request-id"].to_str().unwrap();
    assert_eq!(server.fake.last().caller.request_id, id);
}

#[tokio::test]
async fn handlers_learn_who_calls_from_where() {
    let server = TestServer::start().await;
    let request = server.request(Method::GET, "/api/v1/auth/me").header("user-agent", "test/1");
    let me: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(me["username"], "ann");
    let caller = server.fake.last().caller;
    assert_eq!(&*caller.client_ip, "127.0.0.1");
    assert_eq!(caller.user_agent, "test/1");
    assert_eq!(caller.idempotency_key, None);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = TestServer::start().await;
    for path in ["/api/v1/auth/me", "/healthz", "/api/v1/openapi.json"] {
        let get = server.get(path).await;
        let head = server.request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        assert_eq!(head.headers()["content-type"], get.headers()["content-type"]);
        assert_eq!(head.headers()["content-length"], get.headers()["content-length"]);
        assert!(head.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn answers_are_not_cached() {
    let server = TestServer::start().await;
    let connection = server.get("/api/v1/tenants/a/orgs/b/connection").await;
    assert_eq!(connection.headers()["cache-control"], "no-store");
}
