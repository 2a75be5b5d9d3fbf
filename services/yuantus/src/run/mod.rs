//! The long-running commands: `start`, `worker` and `dev`.

pub(crate) mod api;
mod bucket;
mod common;
mod console;
pub(crate) mod dev;
mod directory;
mod health;
pub(crate) mod keys;
mod metrics;
mod operations;
mod recorder;
pub(crate) mod start;
mod uploads;
pub(crate) mod worker;

use std::path::Path;

use yuantus_config::{Config, Loaded, LogFormat, Purpose};

use crate::failure::Failure;
pub(crate) use common::{refused, store};
pub(crate) use console::at_console;

/// Reads the configuration of this process, `above` winning over the
/// environment, and begins to log as it says.
pub(crate) fn load_config(
    file: Option<&Path>,
    purpose: Purpose,
    above: &[(&str, String)],
) -> Result<Config, Failure> {
    let loaded = Config::load_with(file, &[], above).map_err(refused)?;
    loaded.config.require(purpose).map_err(refused)?;
    begin(loaded)
}

/// Begins to log, and says what is odd about the configuration.
fn begin(loaded: Loaded) -> Result<Config, Failure> {
    let Loaded { config, warnings } = loaded;
    let format = match config.log.format {
        LogFormat::Json => yuantus_telemetry::LogFormat::Json,
        LogFormat::Text => yuantus_telemetry::LogFormat::Text,
    };
    yuantus_telemetry::init(format, &config.log.level)
        .map_err(|error| Failure::local("begin to log", error))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(config)
}
