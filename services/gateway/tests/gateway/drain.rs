//! Stopping: what is under way is finished, nothing new is taken.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::net::TcpStream;
use tonic::Code;
use yuantus_proto::v1::{WatchOperationRequest, operation_service_client::OperationServiceClient};

use crate::server::TestServer;

#[tokio::test]
async fn a_request_under_way_is_finished_and_no_other_is_taken() {
    let server = TestServer::start().await;
    let slow = server.request(Method::POST, "/api/v1/operations/slow:wait").send();
    let slow = tokio::spawn(slow);
    server.fake.waiting.notified().await;

    server.shutdown.cancel();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.serving.is_finished());

    server.fake.release.notify_one();
    assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::OK);
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_is_ended_and_told_to_try_elsewhere() {
    let server = TestServer::start().await;
    let mut client = OperationServiceClient::new(server.channel().await);
    let watch = WatchOperationRequest { operation_id: "forever".into() };
    let mut stream = client.watch_operation(server.grpc(watch)).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());

    let path = "/api/v1/operations/forever:watch";
    let request = server.request(Method::GET, path).header("accept", "application/x-ndjson");
    let mut lines = request.send().await.unwrap();
    assert!(lines.chunk().await.unwrap().is_some());

    server.shutdown.cancel();
    let end = stream.message().await.unwrap_err();
    assert_eq!((end.code(), end.message()), (Code::Unavailable, "the server is stopping"));
    assert!(lines.chunk().await.is_err());
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    let short = Duration::from_millis(50);
    let server = TestServer::start_with(|settings| settings.drain = short).await;
    let slow = server.request(Method::POST, "/api/v1/operations/slow:wait").send();
    let slow = tokio::spawn(slow);
    server.fake.waiting.notified().await;
    server.shutdown.cancel();
    server.serving.await.unwrap().unwrap();
    assert!(slow.await.unwrap().is_err());
}
