//! Downloads: S3 serves them.

use axum::body::Body;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{Adapter, Ask, route, rpc};
use crate::problem::Problem;

/// The routes.
pub const ADAPTERS: &[Adapter] = &[Adapter {
    route: route(rpc::GET_DOWNLOAD_URL, "GET", "/api/v1/file/{file_id}/download"),
    name: "DownloadFile",
    about: "Sends the client on to S3 for the file's bytes. HEAD is sent on to a URL for HEAD.",
    query: &[],
    body: None,
    answers,
    run: |ask| Box::pin(download(ask)),
}];

fn answers() -> Value {
    let location = json!({"schema": {"type": "string", "format": "uri"},
        "description": "Where the bytes are for a while."});
    json!({"302": {"description": "The bytes are there.", "headers": {"location": location}}})
}

async fn download(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let target = format!("/api/v1/file/{}/url", ask.segment("file_id"));
    let urls = ask.call(rpc::GET_DOWNLOAD_URL, &Method::GET, target, None).await?;
    let url = if ask.method() == Method::HEAD { &urls["head_url"] } else { &urls["url"] };
    let url = HeaderValue::from_str(url.as_str().unwrap_or_default());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let url = url.map_err(|_| Problem::panicked())?;
    response.headers_mut().insert(header::LOCATION, url);
    Ok(response)
}
