//! Every way a REST request can go wrong.

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use crate::server::{TestServer, problem};

#[tokio::test]
async fn every_error_of_a_service_is_a_problem() {
    let server = TestServer::start().await;
    for (id, status, code, reason) in [
        ("Bad", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("taken", 409, "ALREADY_EXISTS", "ALREADY_EXISTS"),
        ("early", 412, "FAILED_PRECONDITION", "NOT_READY"),
        ("full", 429, "RESOURCE_EXHAUSTED", "QUOTA"),
        ("later", 503, "UNAVAILABLE", "HIBERNATED"),
        ("racy", 409, "ABORTED", "CONFLICT"),
        ("broken", 500, "INTERNAL", "INTERNAL"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let document = problem(server.create_tenant(id).await, status).await;
        assert_eq!(document["code"], code, "{id}");
        assert_eq!(document["reason"], reason, "{id}");
    }
}

#[tokio::test]
async fn a_problem_names_the_field_and_when_to_try_again() {
    let server = TestServer::start().await;
    let document = problem(server.create_tenant("Bad").await, StatusCode::BAD_REQUEST).await;
    assert_eq!(document["field"], "id");
    assert_eq!(document["detail"], "id may hold lower-case letters only");

    let later = server.create_tenant("later").await;
    assert_eq!(later.headers()[header::RETRY_AFTER], "7");
    let full = server.create_tenant("full").await;
    assert_eq!(full.headers()[header::RETRY_AFTER], "1");

    let missing = server.get("/api/v1/tenants/acme").await;
    let document = problem(missing, StatusCode::NOT_FOUND).await;
    assert_eq!(document["detail"], "tenant `acme` not found");
    assert!(document.get("field").is_none());
}

#[tokio::test]
async fn what_is_our_failure_is_not_described() {
    let server = TestServer::start().await;
    for id in ["broken", "careless", "panic"] {
        let response = server.create_tenant(id).await;
        let document = problem(response, StatusCode::INTERNAL_SERVER_ERROR).await;
        assert_eq!(document["detail"], "internal error", "{id}");
        assert!(!document.to_string().contains("hunter2"), "{id}");
    }
    let after = server.create_tenant("fine").await;
    assert_eq!(after.status(), StatusCode::OK, "a panic ends its request only");
}

#[tokio::test]
async fn json_that_is_not_the_message_is_refused() {
    let server = TestServer::start().await;
    for (body, field, detail) in [
        (r#"{"id":"a","nmae":"b"}"#, Some("nmae"), "unknown field `nmae`"),
        (r#"{"id":"a""#, None, "invalid request body JSON"),
        (r#"{"id":7}"#, Some("id"), "id must be text"),
        (r#"["a"]"#, Some("body"), "body must be an object"),
        ("nonsense", None, "invalid request body JSON"),
    ] {
        let request = server.request(Method::POST, "/api/v1/tenants").body(body);
        let response = request.header("content-type", "application/json").send().await.unwrap();
        let document = problem(response, StatusCode::BAD_REQUEST).await;
        assert_eq!(document["code"], "INVALID_ARGUMENT", "{body}");
        assert_eq!(document.get("field").and_then(|f| f.as_str()), field, "{document}");
        assert!(document["detail"].as_str().unwrap().contains(detail), "{document}");
    }
}

#[tokio::test]
async fn unknown_query_parameters_are_refused() {
    let server = TestServer::start().await;
    let response = server.get("/api/v1/tenants?page_sise=3").await;
    let document = problem(response, StatusCode::BAD_REQUEST).await;
    assert_eq!(document["field"], "page_sise");
    assert_eq!(server.get("/api/v1/tenants?page_size=3").await.status(), StatusCode::OK);
    assert_eq!(server.get("/api/v1/tenants?pageSize=3").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn bodies_over_a_mebibyte_are_refused() {
    let server = TestServer::start().await;
    let large = json!({"id": "a", "name": "x".repeat(1024 * 1024)}).to_string();
    let post = || {
        let request = server.request(Method::POST, "/api/v1/tenants");
        request.header("content-type", "application/json")
    };
    let known = post().body(large.clone()).send().await.unwrap();
    let document = problem(known, StatusCode::PAYLOAD_TOO_LARGE).await;
    assert_eq!(document["reason"], "BODY_TOO_LARGE");

    let chunk = futures::stream::iter([Ok::<_, std::io::Error>(large)]);
    let chunked = post().body(reqwest::Body::wrap_stream(chunk)).send().await.unwrap();
    problem(chunked, StatusCode::PAYLOAD_TOO_LARGE).await;
}

#[tokio::test]
async fn bodies_that_are_not_json_are_refused() {
    let server = TestServer::start().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "text/json"] {
        let request = server.request(Method::POST, "/api/v1/tenants").body(r#"{"id":"a"}"#);
        let response = request.header("content-type", content_type).send().await.unwrap();
        let document = problem(response, StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
        assert_eq!(document["reason"], "NOT_JSON", "{content_type}");
    }
}

#[tokio::test]
async fn unknown_paths_are_not_found_and_other_methods_not_allowed() {
    let server = TestServer::start().await;
    for path in
        ["/", "/api/v2/tenants", "/api/v1/tenants/", "/api/v1/tenants//orgs", "/favicon.ico"]
    {
        let document = problem(server.get(path).await, StatusCode::NOT_FOUND).await;
        assert_eq!(document["reason"], "NO_SUCH_ROUTE", "{path}");
    }
    for (path, allowed) in [
        ("/api/v1/tenants", "POST, GET, HEAD"),
        ("/api/v1/operations/1:wait", "POST"),
        ("/healthz", "GET, HEAD"),
    ] {
        let response = server.request(Method::DELETE, path).send().await.unwrap();
        assert_eq!(response.headers()[header::ALLOW], allowed);
        let document = problem(response, StatusCode::METHOD_NOT_ALLOWED).await;
        assert_eq!(document["reason"], "METHOD_NOT_ALLOWED");
    }
}
