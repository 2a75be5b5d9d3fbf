//! Answers that come bit by bit.

use reqwest::Method;
use serde_json::Value;

use crate::server::TestServer;

async fn watch(server: &TestServer, id: &str, accept: &str) -> reqwest::Response {
    let path = format!("/api/v1/operations/{id}:watch");
    let request = server.request(Method::GET, &path).header("accept", accept);
    request.header("x-request-id", "r7").send().await.unwrap()
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_stream_is_lines_events_or_an_array() {
    let server = TestServer::start().await;

    let response = watch(&server, "o", "application/x-ndjson").await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids(&lines), ["1", "r7"], "the stream knows the request it belongs to");

    let response = watch(&server, "o", "text/event-stream").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = events.map(|event| serde_json::from_str(event).unwrap()).collect();
    assert_eq!(ids(&events), ["1", "r7"]);

    let array: Vec<Value> = watch(&server, "o", "*/*").await.json().await.unwrap();
    assert_eq!(ids(&array), ["1", "r7"]);
}

#[tokio::test]
async fn a_stream_that_fails_is_cut_off_not_ended() {
    let server = TestServer::start().await;
    for id in ["fails", "panics"] {
        let mut response = watch(&server, id, "application/x-ndjson").await;
        assert!(response.chunk().await.unwrap().is_some(), "{id}: what came before arrives");
        assert!(response.chunk().await.is_err(), "{id}: the client sees that it is not whole");
    }
    assert!(server.get("/healthz").await.status().is_success());
}
