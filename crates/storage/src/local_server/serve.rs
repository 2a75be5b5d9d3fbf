//! The accept loop.

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use s3s::service::S3Service;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Faults, GRACE};

/// Serves until `stop`, then gives requests under way [`super::GRACE`] to finish.
pub(super) async fn run_server(
    listener: TcpListener,
    service: S3Service,
    faults: Faults,
    stop: CancellationToken,
) {
    let http = Builder::new(TokioExecutor::new());
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "accepting an S3 connection");
                    tokio::task::yield_now().await;
                    continue;
                }
            },
        };
        // Without it small answers wait for the client's delayed ACK.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "setting TCP_NODELAY on an S3 connection");
        }
        let (faults, service) = (faults.clone(), service.clone());
        let answer = hyper::service::service_fn(move |request| {
            faults.clone().serve(service.clone(), request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), answer).into_owned();
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "an S3 connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::debug!("S3 requests were still under way at shutdown");
    }
}
