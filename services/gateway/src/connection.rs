//! One TCP connection: HTTP/1.1 or HTTP/2, within TLS where that is on.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use http::Request;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::service_fn;
use tracing::debug;

use crate::{
    front::Front,
    handshake::Handshake,
    metrics::{self, Going},
    tls::{self, Tls},
};

/// Headers of an HTTP/1.1 request, request line included.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Headers of an HTTP/2 request.
const MAX_HEADER_LIST_BYTES: u32 = 32 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How often a silent HTTP/2 peer is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address the connection came from.
    pub address: IpAddr,
    /// That address, written.
    pub text: Arc<str>,
    /// Whether it is encrypted.
    pub tls: bool,
    /// The subject of the client's verified certificate.
    pub certificate: Option<Arc<str>>,
}

/// What all connections have in common.
pub struct Door {
    /// Answers requests.
    pub front: Arc<Front>,
    /// Makes connections secure.
    pub tls: Option<Arc<Tls>>,
    /// How long a client may take for a handshake or a request's headers.
    pub header_timeout: Duration,
    /// Cancelled when requests under way are to be finished and no more taken.
    pub stopping: CancellationToken,
}

/// Serves a connection to its end.
pub async fn serve(stream: TcpStream, address: SocketAddr, door: Arc<Door>) {
    let _open = Going::connection();
    // Answers are small: waiting to fill a packet would only delay them.
    stream.set_nodelay(true).ok();
    let ip = address.ip().to_canonical();
    let mut peer = Peer { address: ip, text: ip.to_string().into(), tls: false, certificate: None };
    let Some(tls) = &door.tls else {
        return serve_http(stream, peer, &door).await;
    };
    let handshake = timeout(door.header_timeout, tls.accept(stream));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = door.stopping.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => {
            peer.tls = true;
            peer.certificate = tls::subject(&stream).map(Arc::from);
            serve_http(stream, peer, &door).await;
        }
        Ok(Err(error)) => {
            metrics::handshake_failed();
            debug!(peer = %address, %error, "a TLS handshake failed");
        }
        Err(_) => {
            metrics::handshake_failed();
            debug!(peer = %address, "a TLS handshake took too long");
        }
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    door: &Door,
) {
    let io = TokioIo::new(Handshake::new(stream, door.header_timeout));
    let address = peer.address;
    let front = Arc::clone(&door.front);
    let service = TowerToHyperService::new(service_fn(move |request: Request<_>| {
        let (front, peer) = (Arc::clone(&front), peer.clone());
        async move {
            let response = front.handle(request.map(Body::new), &peer).await;
            Ok::<_, std::convert::Infallible>(response)
        }
    }));
    let builder = builder(door.header_timeout);
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = door.stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(peer = %address, error, "a connection ended early");
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
