//! Pages of other origins.

use reqwest::{Method, Response, StatusCode};

use crate::server::{TestServer, problem};

const OURS: &str = "https://console.example.org";

async fn with(origins: &[&str]) -> TestServer {
    let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    TestServer::start_with(|settings| settings.cors_origins = origins).await
}

async fn preflight(server: &TestServer, origin: &str) -> Response {
    let request = server.anonymous(Method::OPTIONS, "/api/v1/tenants").header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    let headers = "authorization,content-type,x-tenant-id";
    request.header("access-control-request-headers", headers).send().await.unwrap()
}

fn header(response: &Response, name: &str) -> String {
    let values = response.headers().get_all(name).iter();
    values.map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_listed_origin_may_ask_before_anybody_is_authenticated() {
    let server = with(&["http://localhost:5173", OURS]).await;
    let allowed = preflight(&server, OURS).await;
    assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&allowed, "access-control-allow-origin"), OURS);
    assert_eq!(header(&allowed, "access-control-allow-credentials"), "true");
    assert!(header(&allowed, "access-control-allow-methods").contains("PATCH"));
    for name in ["authorization", "content-type", "idempotency-key", "x-tenant-id", "x-org-id"] {
        assert!(header(&allowed, "access-control-allow-headers").contains(name), "{name}");
    }
    assert!(header(&allowed, "vary").contains("origin"));
    assert!(server.fake.calls.lock().unwrap().is_empty(), "no handler ran");

    let read = server.request(Method::GET, "/api/v1/auth/me").header("origin", OURS);
    let read = read.send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK);
    assert_eq!(header(&read, "access-control-allow-origin"), OURS);
    assert!(header(&read, "access-control-expose-headers").contains("x-request-id"));
    let refused = server.anonymous(Method::GET, "/api/v1/auth/me").header("origin", OURS);
    let refused = refused.send().await.unwrap();
    assert_eq!(header(&refused, "access-control-allow-origin"), OURS, "pages can read refusals");
    problem(refused, StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn other_origins_are_shown_nothing() {
    let server = with(&[OURS]).await;
    for origin in [
        "https://evil.example",
        "http://console.example.org",
        "null",
        "https://console.example.org.evil.example",
    ] {
        let refused = preflight(&server, origin).await;
        assert_eq!(header(&refused, "access-control-allow-origin"), "");
        assert_eq!(problem(refused, StatusCode::FORBIDDEN).await["reason"], "ORIGIN_NOT_ALLOWED");
        let read = server.request(Method::GET, "/api/v1/auth/me").header("origin", origin);
        let read = read.send().await.unwrap();
        assert_eq!(header(&read, "access-control-allow-origin"), "", "{origin}");
        assert_eq!(header(&read, "access-control-allow-credentials"), "");
        assert_eq!(header(&read, "vary"), "origin, accept-encoding");
    }
}

#[tokio::test]
async fn every_origin_may_read_but_not_send_cookies() {
    let server = with(&["*"]).await;
    let allowed = preflight(&server, "https://any.example").await;
    assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&allowed, "access-control-allow-origin"), "*");
    assert_eq!(header(&allowed, "access-control-allow-credentials"), "");
}

#[tokio::test]
async fn by_default_nobody_is_told_anything() {
    let server = TestServer::start().await;
    let refused = preflight(&server, OURS).await;
    assert_eq!(header(&refused, "access-control-allow-origin"), "");
    problem(refused, StatusCode::METHOD_NOT_ALLOWED).await;
}
