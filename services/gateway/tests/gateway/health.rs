//! Health, readiness and what stands behind them.

use std::sync::atomic::Ordering;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{TestServer, problem};

#[tokio::test]
async fn alive_is_always_yes() {
    let server = TestServer::start().await;
    server.health.down.store(true, Ordering::Relaxed);
    let response = server.anonymous(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn ready_is_whether_the_identity_database_answers() {
    let server = TestServer::start().await;
    for path in ["/readyz", "/api/v1/health/ready"] {
        server.health.down.store(false, Ordering::Relaxed);
        let ready = server.anonymous(Method::GET, path).send().await.unwrap();
        assert_eq!(ready.json::<Value>().await.unwrap(), json!({"ok": true}));

        server.health.down.store(true, Ordering::Relaxed);
        let unready = server.anonymous(Method::GET, path).send().await.unwrap();
        assert_eq!(unready.headers()["retry-after"], "1");
        let document = problem(unready, StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!(document["detail"], "identity database: connection refused");
    }
}

#[tokio::test]
async fn a_probe_that_hangs_is_given_up() {
    let server = TestServer::start().await;
    server.health.hangs.store(true, Ordering::Relaxed);
    let response = server.anonymous(Method::GET, "/readyz").send().await.unwrap();
    let document = problem(response, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(document["detail"], "identity database: no answer within 2 seconds");
}

#[tokio::test]
async fn health_shows_the_context_of_the_headers() {
    let server = TestServer::start().await;
    let about = |tenant: &str| {
        let request = server.anonymous(Method::GET, "/api/v1/health");
        request.header("x-tenant-id", tenant.to_owned()).header("x-org-id", "org-1")
    };
    let health: Value = about("tenant-1").send().await.unwrap().json().await.unwrap();
    let expected = json!({
        "ok": true,
        "service": "yuantus",
        "version": env!("CARGO_PKG_VERSION"),
        "tenant_id": "tenant-1",
        "org_id": "org-1",
        "tenancy_mode": "db-per-tenant-org",
        "schema_mode": "migrations",
        "audit_enabled": true,
    });
    assert_eq!(health, expected);

    let bare = server.anonymous(Method::GET, "/api/v1/health").send().await.unwrap();
    assert_eq!(bare.json::<Value>().await.unwrap()["tenant_id"], Value::Null);

    let invalid = about("../x").send().await.unwrap();
    let document = problem(invalid, StatusCode::BAD_REQUEST).await;
    assert_eq!(document["field"], "x-tenant-id");
}

#[tokio::test]
async fn dependencies_are_told_one_by_one() {
    let server = TestServer::start().await;
    let request = || server.anonymous(Method::GET, "/api/v1/health/deps");
    let all: Value = request().send().await.unwrap().json().await.unwrap();
    let storage = json!({
        "ok": true, "type": "s3", "bucket": "backups", "endpoint_url": "http://s3:9000",
    });
    let deps = json!({"db": {"ok": true}, "identity_db": {"ok": true}, "storage": storage});
    assert_eq!(all, json!({"ok": true, "deps": deps, "external": {}}));

    server.health.down.store(true, Ordering::Relaxed);
    let gone = request().header("x-tenant-id", "gone").header("x-org-id", "hq");
    let response = gone.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let some: Value = response.json().await.unwrap();
    assert_eq!(some["ok"], false);
    assert_eq!(some["deps"]["db"], json!({"ok": false, "error": "no database gone/hq"}));
    assert_eq!(some["deps"]["identity_db"]["error"], "connection refused");
    assert_eq!(some["deps"]["storage"]["ok"], true);
}
