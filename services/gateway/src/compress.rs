//! gzip, where the client takes it and the answer gains by it.
//!
//! A stream is flushed after each frame of it, so that a line arrives when it
//! was sent. Server-sent events stay as they are: what stands between us and a
//! browser may hold compressed ones back.

use std::{
    io::Write,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt;
use tracing::debug;

/// A smaller body fits in a packet anyway.
const SMALLEST: u64 = 1024;
/// A larger body is compressed as it is sent.
const LARGEST_WHOLE: u64 = 4 << 20;
/// A larger body would keep other requests waiting.
const LARGEST_INLINE: u64 = 64 << 10;
const LEVEL: Compression = Compression::new(4);

/// Whether the client takes gzip.
pub fn accepts_gzip(request: &HeaderMap) -> bool {
    let mut any = None;
    for value in request.get_all(header::ACCEPT_ENCODING) {
        for coding in value.to_str().unwrap_or_default().split(',') {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let quality = parameters.trim().strip_prefix("q=").map(str::trim);
            let wanted = quality.is_none_or(|quality| quality.parse::<f32>().unwrap_or(0.0) > 0.0);
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => return wanted,
                "*" => any = Some(wanted),
                _ => {}
            }
        }
    }
    any.unwrap_or(false)
}

/// Whether answers of this kind shrink; gRPC's compress themselves.
fn shrinks(response: &Response<Body>) -> bool {
    let headers = response.headers();
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT)
        || headers.contains_key(header::CONTENT_ENCODING)
        || headers.contains_key(header::CONTENT_RANGE)
    {
        return false;
    }
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = media.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    (media.starts_with("text/") && media != "text/event-stream")
        || media.ends_with("+json")
        || media.ends_with("+xml")
        || matches!(media, "application/json" | "application/x-ndjson" | "application/javascript")
}

/// The answer, compressed if that helps; `wanted` is whether the client takes
/// gzip.
pub async fn compress(wanted: bool, mut response: Response<Body>) -> Response<Body> {
    let known = response.status() == StatusCode::NOT_MODIFIED;
    if !known && !shrinks(&response) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let size = response.body().size_hint();
    if known || !wanted || size.exact().is_some_and(|size| size < SMALLEST) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let body = match size.exact() {
        Some(size) if size <= LARGEST_WHOLE => match whole(body, size).await {
            Some(body) => body,
            None => Body::from_stream(futures::stream::iter([Err::<Bytes, _>(cut_off())])),
        },
        _ => Body::new(Flushed { body, encoder: Some(GzEncoder::new(Vec::new(), LEVEL)) }),
    };
    Response::from_parts(parts, body)
}

/// `None` where the body failed.
async fn whole(body: Body, size: u64) -> Option<Body> {
    let bytes = body.collect().await.ok()?.to_bytes();
    let compressed = if size > LARGEST_INLINE {
        tokio::task::spawn_blocking(move || gzip(&bytes)).await.ok()?
    } else {
        gzip(&bytes)
    };
    compressed.map(Body::from).inspect_err(|error| debug!(%error, "cannot compress")).ok()
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), LEVEL);
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn cut_off() -> std::io::Error {
    std::io::Error::other("the answer was cut off")
}

/// A stream that is flushed after each frame.
struct Flushed {
    body: Body,
    /// `None` once the end was written.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Flushed {
    fn push(&mut self, data: &[u8]) -> std::io::Result<Bytes> {
        let encoder = self.encoder.as_mut().ok_or_else(cut_off)?;
        encoder.write_all(data)?;
        encoder.flush()?;
        Ok(std::mem::take(encoder.get_mut()).into())
    }
}

impl HttpBody for Flushed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.encoder.is_none() {
            return Poll::Ready(None);
        }
        let written = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.push(&data),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            },
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => match self.encoder.take() {
                Some(encoder) => encoder.finish().map(Bytes::from),
                None => return Poll::Ready(None),
            },
        };
        Poll::Ready(Some(written.map(Frame::data).map_err(axum::Error::new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(value: &'static str) -> bool {
        let value = HeaderValue::from_static(value);
        accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
    }

    #[test]
    fn gzip_is_taken_by_who_says_so() {
        for yes in ["gzip", "br, GZIP;q=0.5", "*", "deflate, *;q=0.1", "x-gzip"] {
            assert!(wanted(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzip;q=x"] {
            assert!(!wanted(no), "{no}");
        }
    }
}
