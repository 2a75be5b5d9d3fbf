//! Taking back what dead workers held, and forgetting what ended long ago.
//!
//! What is stored in the identity database's time may have been written while
//! its clock was ahead. A lease that ends later than any claim made now could
//! is believed for as long as a lease holds, counted here: whoever is alive has
//! extended it by then, in the clock's present time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use uuid::Uuid;
use yuantus_identity::{Context, query::clock::VETTED};

use crate::Result;

/// An operation whose worker died at its last attempt is decided: it goes on
/// only to be undone.
const REAP: &str = "
UPDATE operations SET state = 'PENDING', node_id = NULL, lease_expires_at = NULL,
    run_at = now(), updated_at = now(),
    reason = CASE WHEN unwinding THEN reason ELSE 'its worker was lost' END,
    unwinding = unwinding OR attempt >= max_attempts,
    error_reason = CASE WHEN NOT unwinding AND attempt >= max_attempts
        THEN 'WORKER_LOST' ELSE error_reason END,
    error_message = CASE WHEN NOT unwinding AND attempt >= max_attempts
        THEN 'its worker was lost ' || attempt || ' times' ELSE error_message END,
    attempt = CASE WHEN NOT unwinding AND attempt >= max_attempts THEN 0 ELSE attempt END
WHERE state = 'RUNNING' AND ";

/// Frees operations whose lease has ended; answers which.
pub(crate) async fn reap_expired(pool: &PgPool) -> Result<Vec<Uuid>> {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("{REAP} lease_expires_at < now() RETURNING id")))
        .fetch_all(pool)
        .await
        .during("reap operations")
        .map_err(Into::into)
}

/// The leases that end too late, by operation and epoch, and since when they
/// are seen to.
#[derive(Debug, Default)]
pub(crate) struct TooLate(HashMap<(Uuid, i64), Instant>);

impl TooLate {
    /// Frees operations whose lease ends later than one of `lease` that began
    /// now, and has done so for as long as `lease`; answers which.
    pub(crate) async fn reap(&mut self, pool: &PgPool, lease: Duration) -> Result<Vec<Uuid>> {
        let sql = "SELECT id, epoch FROM operations WHERE state = 'RUNNING'
            AND lease_expires_at > now() + make_interval(secs => $1 + 1)";
        let seen: Vec<(Uuid, i64)> = sqlx::query_as(sql)
            .bind(lease.as_secs_f64())
            .fetch_all(pool)
            .await
            .during("read leases that end too late")?;
        let (ids, epochs): (Vec<Uuid>, Vec<i64>) =
            self.overdue(seen, Instant::now(), lease).into_iter().unzip();
        if ids.is_empty() {
            return Ok(ids);
        }
        let ahead = "lease_expires_at > now() + make_interval(secs => $3 + 1)
            AND (id, epoch) IN (SELECT * FROM unnest($1::uuid[], $2::bigint[])) RETURNING id";
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("{REAP} {ahead}")))
            .bind(ids)
            .bind(epochs)
            .bind(lease.as_secs_f64())
            .fetch_all(pool)
            .await
            .during("reap operations whose leases end too late")
            .map_err(Into::into)
    }

    /// Remembers what is seen `now`, forgets what is not, and answers what has
    /// been seen for as long as `lease`.
    fn overdue(
        &mut self,
        seen: Vec<(Uuid, i64)>,
        now: Instant,
        lease: Duration,
    ) -> Vec<(Uuid, i64)> {
        let known = std::mem::take(&mut self.0);
        let since = |key: &(Uuid, i64)| known.get(key).copied().unwrap_or(now);
        self.0 = seen.into_iter().map(|key| (key, since(&key))).collect();
        let overdue = self.0.iter().filter(|(_, since)| now.duration_since(**since) >= lease);
        overdue.map(|(key, _)| *key).collect()
    }
}

/// Gives operations that wait for their next attempt the time that was meant,
/// where it was written by a clock that was ahead; answers how many.
pub(crate) async fn mend_delays(pool: &PgPool) -> Result<u64> {
    let sql = "UPDATE operations SET run_at = now() + (run_at - updated_at), updated_at = now()
        WHERE state = 'PENDING' AND updated_at > now() + interval '1 minute' AND run_at > now()";
    let done = sqlx::query(sql).execute(pool).await;
    Ok(done.during("mend times of next attempts")?.rows_affected())
}

/// Frees what this node held before it was restarted; answers which.
pub(crate) async fn reap_node(pool: &PgPool, node: &str) -> Result<Vec<Uuid>> {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("{REAP} node_id = $1 RETURNING id")))
        .bind(node)
        .fetch_all(pool)
        .await
        .during("reap operations of this node")
        .map_err(Into::into)
}

/// Forgets operations that ended longer than `retention` ago, some at a time;
/// answers how many: none while the clock is doubted. Those of a failed org stay: retrying one is its way back.
/// So do those that left something behind, which is removed on their word.
pub(crate) async fn age_out(pool: &PgPool, retention: Duration) -> Result<u64> {
    let sql = format!(
        "DELETE FROM operations WHERE id IN (
        SELECT id FROM operations
        WHERE state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
          AND finished_at < {VETTED} - make_interval(secs => $1)
          AND NOT EXISTS (SELECT FROM orgs g WHERE g.tenant_id = operations.tenant_id
            AND g.id = operations.org_id AND g.status = 'FAILED')
          AND NOT EXISTS (SELECT FROM orphans x WHERE x.operation_id = operations.id)
        ORDER BY finished_at LIMIT 1000)"
    );
    let done =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(retention.as_secs_f64()).execute(pool).await;
    Ok(done.during("age out operations")?.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_ends_too_late_is_believed_for_as_long_as_a_lease_holds() {
        let (mut late, lease) = (TooLate::default(), Duration::from_secs(30));
        let (dead, alive) = ((Uuid::from_u128(1), 7), (Uuid::from_u128(2), 8));
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert!(late.overdue(vec![dead, alive], after(0), lease).is_empty());
        assert!(late.overdue(vec![dead], after(10), lease).is_empty());
        assert!(late.overdue(vec![dead, alive], after(20), lease).is_empty());
        assert_eq!(late.overdue(vec![dead, alive], after(30), lease), [dead]);
        // Claimed again, it is another lease.
        assert!(late.overdue(vec![(dead.0, 9)], after(60), lease).is_empty());
    }
}
