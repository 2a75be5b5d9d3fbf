//! A client that does not give up: each request has a key, and is sent again
//! until it is answered.

use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::Result;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// No request is answered later, nor does an operation end later.
const PATIENCE: Duration = Duration::from_secs(300);

/// Speaks to the API by REST.
#[derive(Clone)]
pub struct Rest {
    http: Client,
    url: String,
}

impl Rest {
    pub fn new(url: String) -> Result<Self> {
        let http = Client::builder().timeout(Duration::from_secs(20)).build()?;
        Ok(Self { http, url })
    }

    /// The status and body of the first answer that is not a passing failure.
    pub async fn send(&self, method: Method, path: &str, body: Value) -> Result<(u16, Value)> {
        let key = format!("soak-{:x}", fastrand::u128(..));
        let begun = Instant::now();
        loop {
            let request = self.http.request(method.clone(), format!("{}{path}", self.url));
            let request = match method {
                Method::GET => request,
                _ => request.header("idempotency-key", &key).json(&body),
            };
            if let Ok(answer) = request.send().await {
                let status = answer.status().as_u16();
                let text = answer.text().await;
                if !matches!(status, 429 | 500 | 502..=504)
                    && let Ok(body) = text.map(|text| serde_json::from_str(&text))
                {
                    return Ok((status, body.unwrap_or_default()));
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{method} {path} was not answered in time").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub async fn get(&self, path: &str) -> Result<(u16, Value)> {
        self.send(Method::GET, path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<(u16, Value)> {
        self.send(Method::POST, path, body).await
    }

    /// Waits for the end of an operation; its state and, where it failed, why.
    pub async fn ended(&self, id: &str) -> Result<(String, String)> {
        let begun = Instant::now();
        loop {
            let path = format!("/api/v1/operations/{id}:wait");
            let (status, body) = self.post(&path, json!({"timeout_seconds": 10})).await?;
            let state = body["state"].as_str().unwrap_or_default();
            if status != 200 {
                return Err(format!("operation {id}: {status} {body}").into());
            }
            if !matches!(state, "PENDING" | "RUNNING") {
                return Ok((state.to_owned(), body["error"]["message"].to_string()));
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("operation {id} does not end: {body}").into());
            }
        }
    }
}

/// The id of an operation that was answered.
pub fn operation((status, body): (u16, Value)) -> Result<String> {
    match body["id"].as_str() {
        Some(id) if status == 200 => Ok(id.to_owned()),
        _ => Err(format!("no operation, but {status} {body}").into()),
    }
}
