//! The benchmarks. Every measure is a ratio of the product to the least that
//! the same machine needs for the same outcome, both taken in turns in one
//! run: what a slow or a busy machine does to one, it does to the other.
//!
//! Invariant: each group of measures starts servers of its own, durable as in
//! production, and ends them; nothing outlives the run.

mod assignment;
mod backup;
mod bare;
mod data;
mod database;
mod dump;
mod engine;
mod gateway;
mod http;
mod listing;
mod memory;
mod migration;
mod pace;
mod pool;
mod provision;
mod queue;
mod report;
mod restore;
mod rounds;
mod size;

use std::process::ExitCode;

use clap::Parser;

use report::{Format, Measure, NAMES, Report};
use size::Size;

/// What keeps a measure from being taken.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Measures the product against the least the machine needs.
///
/// Prints a line for each measure, tab-separated: name, ours, baseline, ratio,
/// goal, `holds` or `short`. What is going on goes to standard error.
#[derive(Debug, Parser)]
#[command(name = "yuantus-bench")]
struct Arguments {
    /// The measures to take; all of them if none is named.
    #[arg(value_name = "NAME", value_parser = NAMES)]
    names: Vec<String>,
    /// Prints one JSON object a line instead.
    #[arg(long)]
    json: bool,
    /// Takes few and small samples: shows that it works, measures nothing.
    #[arg(long)]
    quick: bool,
}

impl Arguments {
    fn wants(&self, names: &[&str]) -> bool {
        self.names.is_empty() || names.iter().any(|name| self.names.iter().any(|n| n == name))
    }
}

fn main() -> ExitCode {
    // Before anything else: the baseline of the gateway is this program too.
    let served = match std::env::args().nth(1).as_deref() {
        Some(bare::ARGUMENT) => bare::serve(),
        _ => measured(),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured is on the other side of the sockets: a client of one thread
/// wakes nobody but itself.
#[tokio::main(flavor = "current_thread")]
async fn measured() -> Result<()> {
    let arguments = Arguments::parse();
    tokio::select! {
        ended = take(&arguments) => ended,
        // Leaving the future ends all servers.
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    }
}

async fn take(arguments: &Arguments) -> Result<()> {
    let size = if arguments.quick { Size::quick() } else { Size::full() };
    let format = if arguments.json { Format::Json } else { Format::Tabs };
    let report = Report::new(format);
    let print = |measures: Vec<Measure>| {
        let wanted = measures.iter().filter(|measure| arguments.wants(&[measure.name]));
        wanted.into_iter().try_for_each(|measure| report.print(measure))
    };
    if arguments.wants(provision::NAMES) {
        print(provision::measure(&size).await?)?;
    }
    if arguments.wants(migration::NAMES) {
        print(migration::measure(&size).await?)?;
    }
    if arguments.wants(engine::NAMES) {
        print(engine::measure(&size).await?)?;
    }
    if arguments.wants(backup::NAMES) {
        print(backup::measure(&size).await?)?;
    }
    if arguments.wants(restore::NAMES) {
        print(restore::measure(&size).await?)?;
    }
    if arguments.wants(memory::NAMES) {
        print(memory::measure(&size).await?)?;
    }
    if arguments.wants(gateway::NAMES) {
        print(gateway::measure(&size).await?)?;
    }
    if arguments.wants(listing::NAMES) {
        print(listing::measure(&size).await?)?;
    }
    if arguments.wants(data::NAMES) {
        print(data::measure(&size).await?)?;
    }
    Ok(())
}
