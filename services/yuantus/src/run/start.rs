//! `yuantus start`: gRPC and REST on one port.

use std::{net::IpAddr, path::Path};

use clap::Args;
use tokio::net::TcpListener;
use yuantus_config::Purpose;

use super::{
    api::Api,
    common::{Common, stop_signal},
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
}

/// Serves until told to stop.
pub(crate) async fn run(options: Options, file: Option<&Path>) -> Result<(), Failure> {
    let mut above = Vec::new();
    above.extend(options.host.map(|host| ("YUANTUS_HOST", host.to_string())));
    above.extend(options.port.map(|port| ("YUANTUS_PORT", port.to_string())));
    let config = load_config(file, Purpose::Api, &above)?;
    let shutdown = stop_signal()?;
    let address = config.server.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::local(format!("listen on {address}"), error))?;
    let common = Common::new(&config)?;
    Api::new(&config, &common)?.serve(listener, shutdown).await
}
