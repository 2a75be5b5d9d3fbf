//! `yuantus worker`: runs operations. Any number of workers may run.

use std::path::Path;

use clap::Args;
use yuantus_config::Purpose;

use super::{
    common::{Common, stop_signal},
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
}

/// Works until told to stop.
pub(crate) async fn run(options: Options, file: Option<&Path>) -> Result<(), Failure> {
    let poll = options.poll_interval.map(|seconds| seconds.to_string());
    let poll = poll.map(|seconds| ("YUANTUS_WORKER__POLL_INTERVAL_SECONDS", seconds));
    let above: Vec<_> = poll.into_iter().collect();
    let config = load_config(file, Purpose::Worker, &above)?;
    let shutdown = stop_signal()?;
    let common = Common::new(&config)?;
    run_operations(&config, common, options.once, shutdown).await
}
