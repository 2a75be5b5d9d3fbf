//! The baseline of the gateway: an axum handler that answers JSON, in a
//! process of its own.

use std::{path::PathBuf, time::Duration};

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use yuantus_test_support::Child;

use crate::Result;

/// The argument that makes this program that process.
pub(crate) const ARGUMENT: &str = "--serve-bare";

const POLL: Duration = Duration::from_millis(20);
const PATIENCE: u32 = 500;

async fn tenant() -> Json<Value> {
    Json(json!({
        "id": "acme", "name": "acme", "status": "ACTIVE", "plan": "basic", "is_active": true,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    }))
}

/// Serves until it is killed, with as many threads as the product has.
#[expect(clippy::print_stdout, reason = "whoever started it reads where it listens")]
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        Ok(axum::serve(listener, Router::new().route("/", get(tenant))).await?)
    })
}

/// Starts that process; answers where it listens.
pub(crate) async fn start(directory: &std::path::Path) -> Result<(Child, String)> {
    let program: PathBuf = std::env::current_exe()?;
    let child = Child::start(&program, &[ARGUMENT], [], &directory.join("bare.log"));
    for _ in 0..PATIENCE {
        if let Some(url) = child.log().lines().next().filter(|_| child.log().ends_with('\n')) {
            return Ok((child, url.to_owned()));
        }
        tokio::time::sleep(POLL).await;
    }
    Err("the bare server does not start".into())
}
