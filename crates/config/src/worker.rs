//! `[worker]`: how operations are taken, kept, retried and forgotten.

use std::time::Duration;

use serde::Deserialize;

use crate::optional;

/// `[worker]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// Stable name of this worker, if it has one.
    #[serde(deserialize_with = "optional::text")]
    pub node_id: Option<String>,
    /// How many operations run at a time.
    pub concurrency: usize,
    /// Seconds between looks for work.
    pub poll_interval_seconds: f64,
    /// Seconds without a heartbeat after which an operation is taken away.
    pub lease_seconds: f64,
    /// Seconds between heartbeats; less than the lease.
    pub heartbeat_seconds: f64,
    /// Seconds between looks for leases that ran out.
    pub reaper_seconds: f64,
    /// How many attempts a step gets.
    pub max_attempts: u32,
    /// Seconds before the second attempt; doubled after each.
    pub backoff_initial_seconds: f64,
    /// Most seconds between two attempts.
    pub backoff_max_seconds: f64,
    /// How many operations may wait for one database.
    pub lane_depth: u32,
    /// Seconds finished operations are kept.
    pub retention_seconds: u64,
}

impl Worker {
    /// Time between looks for work.
    pub fn poll_interval(&self) -> Duration {
        Duration::from_secs_f64(self.poll_interval_seconds)
    }

    /// Time without a heartbeat after which an operation is taken away.
    pub fn lease(&self) -> Duration {
        Duration::from_secs_f64(self.lease_seconds)
    }

    /// Time between heartbeats.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_secs_f64(self.heartbeat_seconds)
    }

    /// Time between looks for leases that ran out.
    pub fn reaper(&self) -> Duration {
        Duration::from_secs_f64(self.reaper_seconds)
    }

    /// Time before the second attempt.
    pub fn backoff_initial(&self) -> Duration {
        Duration::from_secs_f64(self.backoff_initial_seconds)
    }

    /// Most time between two attempts.
    pub fn backoff_max(&self) -> Duration {
        Duration::from_secs_f64(self.backoff_max_seconds)
    }

    /// Time finished operations are kept.
    pub fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_seconds)
    }
}
