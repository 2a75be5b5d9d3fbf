//! gzip: for who takes it, where it helps.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::{Method, Response, header};
use serde_json::{Value, json};

use crate::server::TestServer;

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

fn is_gzip(response: &Response) -> bool {
    response.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip")
}

fn vary(response: &Response) -> String {
    let values = response.headers().get_all(header::VARY).iter();
    values.map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn large_answers_shrink_for_who_takes_gzip() {
    let server = TestServer::start().await;
    for (size, shrinks) in [(10, false), (5_000, true), (500_000, true)] {
        let body = json!({"id": "a", "admin_username": "x".repeat(size)});
        let request = || server.request(Method::POST, "/api/v1/tenants").json(&body);
        let response = request().header("accept-encoding", "br, gzip").send().await.unwrap();
        assert_eq!(is_gzip(&response), shrinks, "{size}");
        assert_eq!(vary(&response), "accept-encoding");
        let bytes = response.bytes().await.unwrap();
        let text = if shrinks { gunzip(&bytes) } else { String::from_utf8(bytes.into()).unwrap() };
        let tenant: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(tenant["name"].as_str().unwrap().len(), size);

        let plain = request().header("accept-encoding", "gzip;q=0").send().await.unwrap();
        assert!(!is_gzip(&plain));
        assert_eq!(vary(&plain), "accept-encoding");
        assert_eq!(plain.json::<Value>().await.unwrap(), tenant);
    }
}

#[tokio::test]
async fn head_tells_the_size_of_what_get_would_send() {
    let server = TestServer::start().await;
    let ask = |method| {
        let request = server.anonymous(method, "/api/v1/openapi.json");
        request.header("accept-encoding", "gzip").send()
    };
    let (get, head) = (ask(Method::GET).await.unwrap(), ask(Method::HEAD).await.unwrap());
    assert!(is_gzip(&get) && is_gzip(&head));
    assert_eq!(get.headers()["content-length"], head.headers()["content-length"]);
    assert!(gunzip(&get.bytes().await.unwrap()).starts_with('{'));
}

#[tokio::test]
async fn a_compressed_stream_arrives_item_by_item() {
    let server = TestServer::start().await;
    let request = server.request(Method::GET, "/api/v1/operations/forever:watch");
    let request = request.header("accept", "application/x-ndjson");
    let mut lines = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert!(is_gzip(&lines));
    // The stream never ends: what can be read of it now is what was flushed.
    let mut bytes = Vec::new();
    let mut line = String::new();
    while !line.ends_with('\n') {
        bytes.extend(lines.chunk().await.unwrap().unwrap());
        line.clear();
        let mut whole = vec![0; 4096];
        let read = GzDecoder::new(&bytes[..]).read(&mut whole).unwrap_or_default();
        line.push_str(std::str::from_utf8(&whole[..read]).unwrap());
    }
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["id"], "1");
}

#[tokio::test]
async fn a_stream_that_ends_is_whole_and_events_stay_as_they_are() {
    let server = TestServer::start().await;
    let watch = |accept: &'static str| {
        let request = server.request(Method::GET, "/api/v1/operations/o:watch");
        request.header("accept", accept).header("accept-encoding", "gzip").send()
    };
    let lines = watch("application/x-ndjson").await.unwrap();
    assert!(is_gzip(&lines));
    assert_eq!(gunzip(&lines.bytes().await.unwrap()).lines().count(), 2);
    let events = watch("text/event-stream").await.unwrap();
    assert!(!is_gzip(&events));
    assert!(events.text().await.unwrap().starts_with("data: "));
}
