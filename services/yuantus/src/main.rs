//! The `yuantus` program: verbs for people, `start`, `worker` and `dev`.
//!
//! Invariant: what a script needs is on stdout, in the format asked for;
//! everything else, progress and errors, is on stderr.

mod cli;
mod client;
mod failure;
mod output;
mod paging;
mod profile;
mod progress;
mod run;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use crate::{cli::Cli, failure::Failure};

/// The system's allocator keeps what a backup's threads used; this one gives
/// it back, and an idle worker stays small.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Fails only where a provider is installed already.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let cli = Cli::parse();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::local("start the runtime", source))
        .and_then(|runtime| runtime.block_on(cli.run()));
    yuantus_telemetry::flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}
