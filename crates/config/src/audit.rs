//! `[audit]`: what is written to the audit trail and how long it stays there.

use std::time::Duration;

use serde::Deserialize;

/// `[audit]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Whether every request is written, whatever it does.
    pub enabled: bool,
    /// Days that rows are kept; 0: for ever.
    pub retention_days: u32,
    /// How many rows of a tenant are kept; 0: all.
    pub retention_max_rows: u32,
    /// Seconds between two prunes; 0: never but on request.
    pub prune_interval_seconds: u32,
    /// Seconds between two signed checkpoints.
    pub checkpoint_interval_seconds: u32,
}

impl Audit {
    /// Time between two prunes; `None` where only requests prune.
    pub fn prune_interval(&self) -> Option<Duration> {
        let seconds = self.prune_interval_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// Time between two signed checkpoints.
    pub fn checkpoint_interval(&self) -> Duration {
        Duration::from_secs(self.checkpoint_interval_seconds.into())
    }
}
