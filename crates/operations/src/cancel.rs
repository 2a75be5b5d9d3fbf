//! Asking an operation to stop.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;
use yuantus_identity::Context;

use crate::Result;

/// Asks; answers false where the operation has ended or is not there. A
/// worker notices at once by NOTIFY, or at its next heartbeat. One that waits
/// for its next attempt can be taken at once; one that is being undone already
/// keeps the time of its next.
pub async fn request_cancel(txn: &impl ConnectionTrait, id: Uuid) -> Result<bool> {
    let sql = "UPDATE operations SET cancel_requested = true, updated_at = now(),
            run_at = CASE WHEN unwinding THEN run_at ELSE least(run_at, now()) END
        WHERE id = $1 AND state IN ('PENDING', 'RUNNING')";
    let values = [id.into()];
    let done = txn
        .execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("request cancel")?;
    Ok(done.rows_affected() == 1)
}
