//! `/metrics`, and nothing else.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::future::join_all;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Sample;

const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");
/// A sample that takes longer keeps the value it had.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often what was counted is condensed, scraped or not.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long to leave the listener alone when it gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a scraper may take to ask.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Shows the metrics of `handle` on `listener` until `shutdown`; `samples` are
/// taken at every scrape.
pub async fn run_metrics(
    listener: TcpListener,
    handle: PrometheusHandle,
    samples: Vec<Sample>,
    shutdown: CancellationToken,
) {
    let samples: Arc<[Sample]> = samples.into();
    let mut connections = JoinSet::new();
    let mut upkeep = time::interval(UPKEEP);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            _ = upkeep.tick() => {
                handle.run_upkeep();
                continue;
            }
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, handle.clone(), Arc::clone(&samples)));
            }
            Err(error) => {
                warn!(%error, "cannot take a connection for metrics");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, handle: PrometheusHandle, samples: Arc<[Sample]>) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (handle, samples) = (handle.clone(), Arc::clone(&samples));
        async move { Ok::<_, Infallible>(answer(&request, &handle, &samples).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a scraper's connection ended early");
    }
}

async fn answer<B>(
    request: &Request<B>,
    handle: &PrometheusHandle,
    samples: &[Sample],
) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            join_all(samples.iter().map(|sample| time::timeout(PATIENCE, sample()))).await;
            (StatusCode::OK, handle.render())
        }
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, "metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, EXPOSITION);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
