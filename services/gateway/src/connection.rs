//! One TCP connection: HTTP/1.1 or HTTP/2 without TLS.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use http::Request;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::service_fn;
use tracing::debug;

use crate::{front::Front, handshake::Handshake};

/// Headers of an HTTP/1.1 request, request line included.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Headers of an HTTP/2 request.
const MAX_HEADER_LIST_BYTES: u32 = 32 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How often a silent HTTP/2 peer is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Serves a connection to its end. When `stopping` is cancelled, requests
/// under way are finished and no more are taken.
pub async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    front: Arc<Front>,
    header_timeout: Duration,
    stopping: CancellationToken,
) {
    // Answers are small: waiting to fill a packet would only delay them.
    stream.set_nodelay(true).ok();
    let io = TokioIo::new(Handshake::new(stream, header_timeout));
    let service = TowerToHyperService::new(service_fn(move |request: Request<_>| {
        let front = Arc::clone(&front);
        async move {
            let response = front.handle(request.map(Body::new), peer.ip()).await;
            Ok::<_, std::convert::Infallible>(response)
        }
    }));
    let builder = builder(header_timeout);
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%peer, error, "a connection ended early");
    }
}

fn builder(header_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEADER_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    builder
}
