//! `[data]`: how the API serves what is in the orgs' own databases, and their
//! files.

use std::time::Duration;

use serde::Deserialize;

/// `[data]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Most connections to all orgs' databases.
    pub max_connections: usize,
    /// Most connections to one of them.
    pub max_connections_per_database: usize,
    /// Seconds an unused connection is kept.
    pub idle_seconds: f64,
    /// Seconds a request waits for a connection.
    pub wait_seconds: f64,
    /// Seconds a statement may take.
    pub statement_timeout_seconds: f64,
    /// The largest file that is taken, in bytes.
    pub max_file_bytes: u64,
    /// Seconds a URL of a file is good for.
    pub file_url_seconds: u64,
}

impl Data {
    /// How long an unused connection is kept.
    pub fn idle(&self) -> Duration {
        Duration::from_secs_f64(self.idle_seconds)
    }

    /// How long a request waits for a connection.
    pub fn wait(&self) -> Duration {
        Duration::from_secs_f64(self.wait_seconds)
    }

    /// How long a statement may take.
    pub fn statement_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.statement_timeout_seconds)
    }
}
