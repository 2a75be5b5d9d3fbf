//! Recovery mode: what the identity database says and what servers or the
//! bucket say of themselves differ, so nothing is claimed or destroyed until a
//! person has looked.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, prelude::DateTimeUtc};
use uuid::Uuid;

use crate::{Context, Result};

/// What the identity database says of itself.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Standing {
    /// The id this control plane signs its databases with.
    pub plane: Uuid,
    /// Which copy this is: the cluster and database that it lies in.
    pub instance: String,
    /// The newest epoch that was claimed with; 0 for none.
    pub newest_epoch: i64,
    /// Whether a bucket was marked as this control plane's.
    pub bucket_marked: bool,
    /// Since when it is in recovery mode, if it is.
    pub recovery_since: Option<DateTimeUtc>,
    /// Why, for people.
    pub recovery_reason: String,
}

/// What the identity database says of itself now.
pub async fn standing(db: &impl ConnectionTrait) -> Result<Standing> {
    let sql = "SELECT d.plane, d.bucket_marked_at IS NOT NULL AS bucket_marked, d.recovery_since, d.recovery_reason,
            (SELECT coalesce(max(epoch), 0) FROM claimed_epochs) AS newest_epoch,
            (SELECT c.system_identifier FROM pg_control_system() c) || '/' ||
            (SELECT oid FROM pg_database WHERE datname = current_database()) AS instance
        FROM deployment d";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let standing = Standing::find_by_statement(statement).one(db).await;
    standing
        .and_then(|found| found.ok_or(sea_orm::DbErr::RecordNotFound("deployment".into())))
        .during("read standing")
}

/// Enters recovery mode, and says so of every operation that waits; answers
/// whether it was not in it before.
pub async fn enter(db: &impl ConnectionTrait, reason: &str) -> Result<bool> {
    let sql = "WITH entered AS (
            UPDATE deployment SET recovery_since = now(), recovery_reason = $1
            WHERE recovery_since IS NULL RETURNING singleton)
        UPDATE operations SET reason = 'parked: recovery mode', updated_at = now()
        WHERE state = 'PENDING' AND EXISTS (SELECT FROM entered)";
    let before = standing(db).await?.recovery_since.is_some();
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [reason.into()]))
        .await
        .during("enter recovery mode")?;
    Ok(!before)
}

/// Says of operations that were asked for since that they are parked too.
pub async fn park(db: &impl ConnectionTrait) -> Result<()> {
    let sql = "UPDATE operations SET reason = 'parked: recovery mode', updated_at = now()
        WHERE state = 'PENDING' AND reason = ''
        AND EXISTS (SELECT FROM deployment WHERE recovery_since IS NOT NULL)";
    db.execute_unprepared(sql).await.during("park operations").map(drop)
}

/// Holds the deployment's row until the transaction ends: nobody enters or leaves
/// recovery mode meanwhile.
pub async fn lock(txn: &impl ConnectionTrait) -> Result<()> {
    let sql = "SELECT FROM deployment FOR UPDATE";
    txn.execute_unprepared(sql).await.during("lock deployment").map(drop)
}

/// Leaves recovery mode: from now on epochs are above `newest`, and what claims
/// of unfinished backups wrote before is nobody's to delete: in the other
/// history it may have been finished. To be called within a transaction; the
/// role must own the sequence of epochs.
pub async fn release(txn: &impl ConnectionTrait, newest: i64) -> Result<()> {
    let epochs = "SELECT setval('operation_epochs', greatest($1,
        coalesce(pg_sequence_last_value('operation_epochs'::regclass), 0)) + 1)";
    let values = [newest.into()];
    txn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, epochs, values))
        .await
        .during("raise epochs")?;
    let newest_epoch = "UPDATE claimed_epochs SET epoch = greatest(epoch, $1) WHERE slot = 0";
    let values = [newest.into()];
    txn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, newest_epoch, values))
        .await
        .during("raise newest epoch")?;
    let forget = "DELETE FROM backup_prefixes p USING backups b
        WHERE b.id = p.backup_id AND b.state = 'CREATING'";
    txn.execute_unprepared(forget).await.during("forget backup prefixes")?;
    let leave = "UPDATE deployment SET recovery_since = NULL, recovery_reason = ''";
    txn.execute_unprepared(leave).await.during("leave recovery mode")?;
    let resume = "UPDATE operations SET reason = '', updated_at = now()
        WHERE state = 'PENDING' AND reason LIKE 'parked: %'";
    txn.execute_unprepared(resume).await.during("resume operations").map(drop)
}

/// Records that the bucket is marked as this control plane's.
pub async fn record_bucket(db: &impl ConnectionTrait) -> Result<()> {
    let sql = "UPDATE deployment SET bucket_marked_at = now() WHERE bucket_marked_at IS NULL";
    db.execute_unprepared(sql).await.during("record bucket").map(drop)
}

/// Gives this copy of an identity database a plane of its own: no database on
/// any server, no backup and no bucket is its own from then on, and no operation
/// goes on. Answers the new plane.
pub async fn fork(txn: &impl ConnectionTrait) -> Result<Uuid> {
    for sql in [
        "UPDATE orgs SET status = 'FAILED', reason = 'the database is of the plane this copy was made of'",
        "UPDATE databases SET state = 'FAILED', updated_at = now()",
        "UPDATE operations SET state = 'CANCELLED', node_id = NULL, lease_expires_at = NULL,
            reason = 'this copy was given a plane of its own', finished_at = now(),
            updated_at = now()
        WHERE state IN ('PENDING', 'RUNNING')",
        "UPDATE backups SET state = 'FAILED', manifest = NULL,
            reason = 'in the bucket of the plane this copy was made of'",
        "DELETE FROM backup_prefixes",
        "DELETE FROM tombstones",
        "DELETE FROM orphans",
    ] {
        txn.execute_unprepared(sql).await.during("fork plane")?;
    }
    let sql = "UPDATE deployment SET plane = gen_random_uuid(), bucket_marked_at = NULL,
        recovery_since = NULL, recovery_reason = '' RETURNING plane";
    let row = txn.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    row.and_then(|row| row.ok_or(sea_orm::DbErr::RecordNotFound("deployment".into())))
        .and_then(|row| row.try_get("", "plane"))
        .during("fork plane")
}
