//! What the engine counts.

use std::time::Instant;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use sqlx::{PgPool, Row};
use yuantus_domain::OperationType;

const CLAIMED: &str = "yuantus_operations_claimed_total";
const RUNNING: &str = "yuantus_operations_running";
const ENDED: &str = "yuantus_operations_ended_total";
const DURATION: &str = "yuantus_operation_duration_seconds";
const FAILURES: &str = "yuantus_operation_step_failures_total";
const PENDING: &str = "yuantus_operations_pending";
const RECOVERY: &str = "yuantus_recovery_mode";
const ORPHANS: &str = "yuantus_orphans";
const OLDEST: &str = "yuantus_operations_oldest_pending_seconds";

/// Says what the numbers mean.
pub fn describe() {
    describe_counter!(CLAIMED, "Operations that this worker took, by type.");
    describe_gauge!(RUNNING, "Operations that this worker is at, by type.");
    describe_counter!(ENDED, "Operations that ended here, by type and state.");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "From the claim that ended them to the end of operations, by type and state."
    );
    describe_counter!(FAILURES, "Steps that failed and will be tried again, by type and step.");
    describe_gauge!(ORPHANS, "What operations left behind and is not removed yet.");
    describe_gauge!(PENDING, "Operations that wait for a worker, by type.");
    describe_gauge!(RECOVERY, "1 while operations are parked until a person has looked.");
    describe_gauge!(OLDEST, Unit::Seconds, "How long the oldest of them could have been run.");
}

/// An operation that this worker is at.
pub(crate) struct Running(OperationType);

impl Running {
    pub(crate) fn new(kind: OperationType) -> Self {
        counter!(CLAIMED, "type" => kind.as_str()).increment(1);
        gauge!(RUNNING, "type" => kind.as_str()).increment(1.0);
        Self(kind)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        gauge!(RUNNING, "type" => self.0.as_str()).decrement(1.0);
    }
}

pub(crate) fn ended(kind: OperationType, state: &'static str, begun: Instant) {
    let kind = kind.as_str();
    counter!(ENDED, "type" => kind, "state" => state).increment(1);
    histogram!(DURATION, "type" => kind, "state" => state).record(begun.elapsed());
}

pub(crate) fn step_failed(kind: OperationType, step: &str) {
    counter!(FAILURES, "type" => kind.as_str(), "step" => step.to_owned()).increment(1);
}

const QUEUE: &str = "
SELECT type, count(*),
    coalesce(extract(epoch FROM max(now() - run_at)), 0)::float8
FROM operations WHERE state = 'PENDING' AND run_at <= now() GROUP BY type";

/// Measures the queue, and whether it moves. What cannot be read keeps the value
/// it had.
pub async fn sample_queue(pool: &PgPool) {
    let parked = "SELECT EXISTS (SELECT FROM deployment WHERE recovery_since IS NOT NULL)";
    match sqlx::query_scalar::<_, bool>(parked).fetch_one(pool).await {
        Ok(parked) => gauge!(RECOVERY).set(f64::from(u8::from(parked))),
        Err(error) => tracing::debug!(%error, "cannot read whether operations are parked"),
    }
    let rows = match sqlx::query(QUEUE).fetch_all(pool).await {
        Ok(rows) => rows,
        Err(error) => return tracing::debug!(%error, "cannot measure the queue"),
    };
    let orphans = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM orphans").fetch_one(pool);
    match orphans.await {
        Ok(count) => gauge!(ORPHANS).set(count as f64),
        Err(error) => tracing::debug!(%error, "cannot count the orphans"),
    }
    for kind in OperationType::ALL {
        let row =
            rows.iter().find(|row| row.try_get::<&str, _>(0).is_ok_and(|k| k == kind.as_str()));
        let count = row.and_then(|row| row.try_get::<i64, _>(1).ok()).unwrap_or_default();
        let oldest = row.and_then(|row| row.try_get::<f64, _>(2).ok()).unwrap_or_default();
        gauge!(PENDING, "type" => kind.as_str()).set(count as f64);
        gauge!(OLDEST, "type" => kind.as_str()).set(oldest);
    }
}
