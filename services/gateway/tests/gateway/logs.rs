//! What a request leaves in the log, and what it does not.

use std::{
    io::{Result, Write},
    sync::{Arc, Mutex},
};

use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;
use yuantus_telemetry::JsonLayer;

use crate::server::TestServer;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn of_request(&self, id: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["request_id"] == id && line["message"] == "request").collect()
    }
}

#[tokio::test]
async fn a_request_is_logged_once_with_whose_it_was_and_without_its_token() {
    let lines = Lines::default();
    let writer = lines.clone();
    let layer = JsonLayer::new(move || writer.clone());
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let server = TestServer::start().await;

    let token = server.platform();
    let path = "/api/v1/tenants/acme/orgs/hq/backups?page_token=hunter2";
    let request = server.anonymous(Method::GET, path).bearer_auth(&token);
    request.header("x-request-id", "r9").send().await.unwrap().bytes().await.unwrap();
    let body = json!({"tenant_id": "acme", "username": "ann", "password": "hunter2"});
    let login = server.anonymous(Method::POST, "/api/v1/auth/login").json(&body);
    login.send().await.unwrap();
    server.shutdown.cancel();
    server.serving.await.unwrap().unwrap();

    let logged = lines.of_request("r9");
    assert_eq!(logged.len(), 1, "{}", lines.text());
    let line = &logged[0];
    for (field, expected) in [
        ("method", json!("GET")),
        ("path", json!("/api/v1/tenants/acme/orgs/hq/backups")),
        ("status", json!(200)),
        ("tenant_id", json!("acme")),
        ("org_id", json!("hq")),
        ("caller", json!("platform/ann")),
        ("client_ip", json!("127.0.0.1")),
    ] {
        assert_eq!(line[field], expected, "{field}");
    }
    assert!(line["duration_ms"].is_number());
    for secret in [token.as_str(), "hunter2"] {
        assert!(!lines.text().contains(secret), "{}", lines.text());
    }
}
