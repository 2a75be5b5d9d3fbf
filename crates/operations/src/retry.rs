//! Starting a failed or cancelled operation again.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;
use yuantus_identity::{Context, query::orphan};

use crate::Result;

/// Puts the operation back at its first step with fresh attempts: what it had
/// made was undone. What could not be, it answers for again: it is taken off the
/// list of orphans. Answers false where it has not failed.
pub async fn request_retry(txn: &impl ConnectionTrait, id: Uuid) -> Result<bool> {
    let sql = "UPDATE operations SET state = 'PENDING', step = 0, attempt = 0, run_at = now(),
            cancel_requested = false, unwinding = false, reason = '', error_reason = '',
            error_message = '', warnings = '[]', progress_done = 0, progress_total = 0, progress_unit = '',
            finished_at = NULL, updated_at = now()
        WHERE id = $1 AND state IN ('FAILED', 'CANCELLED')";
    let values = [id.into()];
    let done = txn
        .execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("request retry")?;
    if done.rows_affected() == 1 {
        orphan::delete_of(txn, id).await?;
        return Ok(true);
    }
    Ok(false)
}
