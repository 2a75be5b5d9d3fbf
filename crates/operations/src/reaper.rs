//! Taking back what dead workers held, and forgetting what ended long ago.

use std::time::Duration;

use sqlx::PgPool;
use uuid::Uuid;
use yuantus_identity::Context;

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
/// answers how many. Those of a failed org stay: retrying one is its way back.
pub(crate) async fn age_out(pool: &PgPool, retention: Duration) -> Result<u64> {
    let sql = "DELETE FROM operations WHERE id IN (
        SELECT id FROM operations
        WHERE state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
          AND finished_at < now() - make_interval(secs => $1)
          AND NOT EXISTS (SELECT FROM orgs g WHERE g.tenant_id = operations.tenant_id
            AND g.id = operations.org_id AND g.status = 'FAILED')
        ORDER BY finished_at LIMIT 1000)";
    let done = sqlx::query(sql).bind(retention.as_secs_f64()).execute(pool).await;
    Ok(done.during("age out operations")?.rows_affected())
}
