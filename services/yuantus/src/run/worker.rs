//! `yuantus worker`: runs operations. Any number of workers may run.

use std::{net::SocketAddr, path::Path};

use clap::Args;
use uuid::Uuid;
use yuantus_config::{Config, Purpose};

use super::{
    common::{Common, Hangup, stop_signal},
    load_config,
    operations::run_operations,
};
use crate::failure::Failure;

/// Options of `worker`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Do what there is to do, then end
    #[arg(long)]
    once: bool,
    /// Look for work this often without being told, instead of
    /// `worker.poll_interval_seconds`
    #[arg(long, value_name = "SECONDS")]
    poll_interval: Option<f64>,
    /// Address and port to show metrics at, instead of `metrics.worker_listen`
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
}

/// Does what there is to do, beside the workers that run.
pub(crate) async fn work_once(config: &Config) -> Result<(), Failure> {
    let shutdown = stop_signal(Hangup::Stops)?;
    let mut config = config.clone();
    config.worker.node_id = Some(format!("once-{}", Uuid::now_v7()));
    let common = Common::new(&config)?;
    run_operations(&config, common, true, None, shutdown).await
}

/// Works until told to stop.
pub(crate) async fn run(options: Options, file: Option<&Path>) -> Result<(), Failure> {
    let poll = options.poll_interval.map(|seconds| seconds.to_string());
    let poll = poll.map(|seconds| ("YUANTUS_WORKER__POLL_INTERVAL_SECONDS", seconds));
    let metrics = options.metrics_listen.map(|address| address.to_string());
    let metrics = metrics.map(|address| ("YUANTUS_METRICS_WORKER_LISTEN", address));
    let above: Vec<_> = poll.into_iter().chain(metrics).collect();
    let config = load_config(file, Purpose::Worker, &above)?;
    let shutdown = stop_signal(Hangup::Stops)?;
    let common = Common::new(&config)?;
    let metrics = config.metrics.worker_listen;
    run_operations(&config, common, options.once, metrics, shutdown).await
}
