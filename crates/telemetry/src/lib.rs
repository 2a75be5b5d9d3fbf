//! Logs: one line an event, to stderr, as JSON or as text for people. Metrics,
//! for who scrapes them.
//!
//! Invariant: an event carries the fields of every span it happens in, so
//! `request_id`, `tenant_id`, `org_id` and `operation_id` stand at the top of
//! each JSON line that belongs to a request or an operation.

mod fields;
mod gather;
mod json;
mod metrics;

use std::{
    io::{IsTerminal, Stderr, stderr},
    str::FromStr,
    sync::OnceLock,
};

use gather::Gather;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt,
};

pub use gather::ACCESS;
pub use json::JsonLayer;
pub use metrics::{Sample, install_metrics, run_metrics};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(Error::UnknownFormat { format: name.to_owned() }),
        }
    }
}

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is none.
    #[error("`{level}` is not a log level or filter")]
    InvalidLevel {
        /// What was given.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The thread that writes the log does not start.
    #[error("cannot start the log's thread")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
    /// The format is none.
    #[error("`{format}` is not a log format: json or text")]
    UnknownFormat {
        /// What was given.
        format: String,
    },
}

/// Where this process logs to, once it does.
static STDERR: OnceLock<Gather<Stderr>> = OnceLock::new();

/// Begins logging to stderr. `level` is a level (`info`) or a filter
/// (`info,sqlx=warn`). Where the process logs already, nothing changes: tests
/// call this as often as they like.
pub fn init(format: LogFormat, level: &str) -> Result<(), Error> {
    let filter = EnvFilter::try_new(level)
        .map_err(|source| Error::InvalidLevel { level: level.to_owned(), source })?;
    let gather = match STDERR.get() {
        Some(gather) => gather.clone(),
        None => {
            let new = Gather::new(stderr()).map_err(|source| Error::Thread { source })?;
            STDERR.get_or_init(|| new).clone()
        }
    };
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Json => JsonLayer::new(gather).with_filter(filter).boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_writer(gather)
            .with_ansi(stderr().is_terminal())
            .with_filter(filter)
            .boxed(),
    };
    // Fails only where a subscriber is set already.
    tracing_subscriber::registry().with(layer).try_init().ok();
    Ok(())
}

/// Writes what is still to be written: the last thing before the process ends.
pub fn flush() {
    if let Some(gather) = STDERR.get() {
        gather.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_init_changes_nothing_and_a_bad_level_is_refused() {
        init(LogFormat::Json, "info").unwrap();
        init("text".parse().unwrap(), "debug,sqlx=warn").unwrap();
        assert!(init(LogFormat::Json, "sqlx=loud").is_err());
        assert!("xml".parse::<LogFormat>().is_err());
    }
}
