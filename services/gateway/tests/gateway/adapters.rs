//! Routes whose answers differ in shape from those of the RPCs behind them.

use reqwest::{Method, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use yuantus_auth::Role;
use yuantus_gateway::openapi;

use crate::server::{TestServer, problem};

/// Every method of every path that the document has, but for those that are
/// open to anybody.
fn guarded() -> Vec<(Method, String)> {
    let document = openapi::build();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.split('/').map(|part| match part.strip_prefix('{') {
            Some(rest) => rest.split_once('}').map(|(_, verb)| format!("1{verb}")).unwrap(),
            None => part.to_owned(),
        });
        let path = path.collect::<Vec<_>>().join("/");
        for (method, operation) in methods.as_object().unwrap() {
            if !operation["security"].as_array().unwrap().is_empty() {
                let method = method.to_uppercase();
                found.push((Method::from_bytes(method.as_bytes()).unwrap(), path.clone()));
            }
        }
    }
    found
}

#[tokio::test]
async fn nobody_gets_anywhere_without_a_token() {
    let server = TestServer::start().await;
    let guarded = guarded();
    assert!(guarded.len() > 90, "only {} routes", guarded.len());
    for known in ["/api/v1/file/upload", "/api/v1/admin/tenants", "/api/admin/tenants/provision"] {
        assert!(guarded.iter().any(|(_, path)| path == known), "{known}");
    }
    for (method, path) in guarded {
        // A body that is no JSON, which nobody looks into.
        let request = server.anonymous(method.clone(), &path).body("{");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    assert!(server.fake.calls.lock().unwrap().is_empty(), "no handler ran");
}

#[tokio::test]
async fn an_adapter_lets_in_whom_its_rpcs_let_in() {
    let server = TestServer::start().await;
    let body = json!({"tenant_id": "tenant-1", "org_id": "org-1", "admin_username": "admin",
        "admin_password": "admin"});
    for role in [Role::Member, Role::TenantAdmin] {
        let request = server.anonymous(Method::POST, "/api/v1/admin/tenants").json(&body);
        let answer = request.bearer_auth(server.token("acme", role)).send().await.unwrap();
        problem(answer, StatusCode::FORBIDDEN).await;
    }
    assert!(server.fake.calls.lock().unwrap().is_empty(), "no handler ran");
    let request = server.request(Method::POST, "/api/v1/admin/tenants").json(&body);
    // Nothing is ever ready here.
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((&answer["id"], &answer["name"]), (&json!("tenant-1"), &json!("admin")));
    assert_eq!((&answer["tenant_id"], &answer["org_id"]), (&json!("tenant-1"), &json!("org-1")));
    let calls = server.fake.calls.lock().unwrap();
    let ran: Vec<&str> = calls.iter().map(|call| call.handler).collect();
    let expected =
        ["TenantService/CreateTenant", "OrgService/CreateOrg", "OperationService/WaitOperation"];
    assert_eq!(ran, expected);
    for call in calls.iter() {
        // Each was admitted to the method that it ran.
        assert_eq!(call.caller.rpc, format!("/yuantus.controlplane.v1.{}", call.handler));
    }
}

#[tokio::test]
async fn a_body_that_is_not_the_adapters_is_refused_with_its_field() {
    let server = TestServer::start().await;
    let admin = server.token("acme", Role::TenantAdmin);
    for (path, body, field) in [
        ("/api/v1/admin/tenants", json!({"id": "a", "bogus": 1}), Some("bogus")),
        ("/api/v1/admin/tenants", json!({"id": "a", "org_id": "A"}), Some("default_org_id")),
        ("/api/admin/tenants/provision", json!({"name": "--"}), Some("name")),
        ("/api/v1/admin/tenants", json!({"id": "a", "is_active": "yes"}), Some("is_active")),
        ("/api/admin/tenants/provision", json!([]), Some("body")),
        ("/api/admin/tenants/provision", json!({"name": 7}), Some("name")),
        ("/api/v1/admin/tenants/acme/orgs", json!({}), Some("id")),
    ] {
        let answer = server.request(Method::POST, path).json(&body).send().await.unwrap();
        let document = problem(answer, StatusCode::BAD_REQUEST).await;
        assert_eq!(document.get("field").and_then(Value::as_str), field, "{path} {body}");
    }
    let put = server.anonymous(Method::PUT, "/api/v1/tenants/payments/policy");
    let put = put.bearer_auth(&admin).json(&json!([1])).send().await.unwrap();
    assert_eq!(problem(put, StatusCode::BAD_REQUEST).await["field"], "body");
    assert!(server.fake.calls.lock().unwrap().is_empty(), "no handler ran");
    let put = server.anonymous(Method::PUT, "/api/v1/tenants/payments/policy");
    let put = put.bearer_auth(&admin).json(&json!({"daily": 7})).send().await.unwrap();
    let policy: Value = put.json().await.unwrap();
    assert_eq!((&policy["tenant_id"], &policy["area"]), (&json!("acme"), &json!("payments")));
    assert_eq!(policy["policy"], json!({"daily": 7.0}));
}

#[tokio::test]
async fn the_platforms_tenants_can_be_closed() {
    let server = TestServer::start_with(|settings| settings.platform_admin = false).await;
    for path in ["/api/v1/admin/tenants", "/api/v1/admin/tenants/acme"] {
        let document = problem(server.get(path).await, StatusCode::FORBIDDEN).await;
        assert_eq!(document["detail"], "Platform admin disabled");
        assert_eq!(document["reason"], "PLATFORM_ADMIN_DISABLED");
        let nobody = server.anonymous(Method::GET, path).send().await.unwrap();
        problem(nobody, StatusCode::UNAUTHORIZED).await;
    }
    assert_eq!(server.get("/api/v1/tenants").await.status(), StatusCode::OK);
    assert_eq!(
        server.get("/api/v1/admin/orgs?page_size=1").await.status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_file_is_handed_on_and_a_download_is_sent_on() {
    let server = TestServer::start().await;
    let form = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
        content-type: text/plain\r\n\r\nabc\r\n--b--\r\n";
    let request = server.request(Method::POST, "/api/v1/file/upload").body(form);
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    let request = request.header("x-tenant-id", "acme").header("x-org-id", "hq");
    let file: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((&file["filename"], &file["size"]), (&json!("a.txt"), &json!(3)));
    assert_eq!(server.fake.last().caller.org.as_ref().unwrap().as_str(), "hq");

    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let url = format!("http://{}/api/v1/file/1/download", server.address);
    let request = client.get(url).bearer_auth(server.platform());
    let request = request.header("x-tenant-id", "acme").header("x-org-id", "hq");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(server.fake.last().handler, "FileService/GetDownloadUrl");
}
