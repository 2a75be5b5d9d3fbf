//! Clients that are slow, odd or hostile.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::TestServer;

/// Sends `bytes` and reads until the server closes.
async fn closed_after(server: &TestServer, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset is a close too.
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_client_that_never_finishes_its_headers_is_closed() {
    let short = Duration::from_millis(100);
    let server = TestServer::start_with(|settings| settings.header_timeout = short).await;
    for begun in
        ["", "P", "PRI * HTTP/2.0\r\n", "GET / HT", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "]
    {
        closed_after(&server, begun.as_bytes()).await;
    }
}

#[tokio::test]
async fn a_client_that_never_finishes_its_body_is_told_so() {
    let short = Duration::from_millis(100);
    let server = TestServer::start_with(|settings| settings.body_timeout = short).await;
    let head = format!(
        "POST /api/v1/tenants HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        server.platform()
    );
    let answer = closed_after(&server, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("BODY_TIMEOUT"), "{answer}");
}

#[tokio::test]
async fn headers_have_a_limit() {
    let server = TestServer::start().await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(70_000));
    let answer = closed_after(&server, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let server = TestServer::start().await;
    let answer = closed_after(&server, b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(server.get("/healthz").await.status().is_success());
}
