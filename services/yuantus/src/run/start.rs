//! `yuantus start`: gRPC and REST on one port.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use clap::Args;
use tokio::net::TcpListener;
use yuantus_config::Purpose;

use super::{
    api::Api,
    common::{Common, Hangup, check_identity, stop_signal},
    load_config,
};
use crate::failure::Failure;

/// Options of `start`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Address to listen on, instead of `server.host`
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Port to listen on, instead of `server.port`
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Address and port to show metrics at, instead of `metrics.listen`
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
}

/// Serves until told to stop.
pub(crate) async fn run(options: Options, file: Option<&Path>) -> Result<(), Failure> {
    let mut above = Vec::new();
    above.extend(options.host.map(|host| ("YUANTUS_HOST", host.to_string())));
    above.extend(options.port.map(|port| ("YUANTUS_PORT", port.to_string())));
    let metrics = options.metrics_listen.map(|address| address.to_string());
    above.extend(metrics.map(|address| ("YUANTUS_METRICS_LISTEN", address)));
    let config = load_config(file, Purpose::Api, &above)?;
    let tls = config.server.tls_certificate.is_some();
    let shutdown = stop_signal(if tls { Hangup::Reloads } else { Hangup::Stops })?;
    let address = config.server.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::local(format!("listen on {address}"), error))?;
    let common = Common::new(&config)?;
    let mut api = Api::new(&config, &common)?;
    check_identity(&api.app.db).await?;
    api.show_metrics(config.metrics.listen).await?;
    match api.prove_keys(&shutdown).await {
        Ok(true) => api.serve(listener, shutdown).await,
        Ok(false) => {
            api.close().await;
            Ok(())
        }
        Err(failure) => {
            api.close().await;
            Err(failure)
        }
    }
}
