//! Requests that take too long.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tonic::Code;
use yuantus_proto::v1::{GetTenantRequest, tenant_service_client::TenantServiceClient};

use crate::server::{TestServer, problem};

async fn hasty() -> TestServer {
    let short = Duration::from_millis(100);
    TestServer::start_with(|settings| settings.request_timeout = short).await
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let server = hasty().await;
    let given_up = server.get("/api/v1/tenants/hangs").await;
    let document = problem(given_up, StatusCode::GATEWAY_TIMEOUT).await;
    assert_eq!(document["reason"], "REQUEST_TIMEOUT");
    assert_eq!(document["code"], "DEADLINE_EXCEEDED");

    let mut client = TenantServiceClient::new(server.channel().await);
    let hangs = || GetTenantRequest { tenant_id: "hangs".into() };
    let status = client.get_tenant(server.grpc(hangs())).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn waits_and_streams_outlast_it() {
    let server = hasty().await;
    let wait = server.request(Method::POST, "/api/v1/operations/slow:wait").send();
    let wait = tokio::spawn(wait);
    server.fake.waiting.notified().await;
    let path = "/api/v1/operations/forever:watch";
    let watch = server.request(Method::GET, path).header("accept", "application/x-ndjson");
    let mut lines = watch.send().await.unwrap();
    assert!(lines.chunk().await.unwrap().is_some());

    problem(server.get("/api/v1/tenants/hangs").await, StatusCode::GATEWAY_TIMEOUT).await;
    assert!(!wait.is_finished());
    server.fake.release.notify_one();
    assert_eq!(wait.await.unwrap().unwrap().status(), StatusCode::OK);
    let more = tokio::time::timeout(Duration::ZERO, lines.chunk()).await;
    assert!(more.is_err(), "the stream is neither ended nor cut off");
}
