//! What a worker writes about an operation it holds. Every statement names
//! the epoch; a count of zero rows means that the lease is lost.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, Statement, Value, prelude::DateTimeUtc,
};
use uuid::Uuid;
use yuantus_domain::OperationState;
use yuantus_identity::{Context, Part};

use crate::{Result, notify::CHANGED};

/// Which claim writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) id: Uuid,
    pub(crate) epoch: i64,
}

/// Losing one of these to a crash of the database only means that a step runs
/// again, so they do not wait for the disk. Never within a transaction that
/// writes anything else: all of it would not wait.
const RELAXED: &str =
    "WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))";

const ADVANCE: &str = "step = $3, attempt = 1, reason = '', progress_done = 0,
    progress_total = 0, progress_unit = '', updated_at = now()";

const FINISH: &str = "UPDATE operations SET state = $3, step = $4, node_id = NULL,
    lease_expires_at = NULL, finished_at = now(), updated_at = now(),
    reason = CASE WHEN $3 = 'SUCCEEDED' THEN '' ELSE error_message END
    WHERE id = $1 AND epoch = $2 AND state = 'RUNNING'";

const HELD: &str = "id = $1 AND epoch = $2 AND state = 'RUNNING'";

impl Claim {
    async fn write(
        &self,
        db: &impl ConnectionTrait,
        what: &'static str,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<bool> {
        let values = [self.id.into(), self.epoch.into()].into_iter().chain(values);
        let done = db
            .execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during(what)?;
        Ok(done.rows_affected() == 1)
    }

    /// Locks the operation's row if this claim still holds it.
    pub(crate) async fn lock(&self, txn: &impl ConnectionTrait) -> Result<bool> {
        let sql = "SELECT FROM operations
            WHERE id = $1 AND epoch = $2 AND state = 'RUNNING' FOR NO KEY UPDATE";
        let values = [self.id.into(), self.epoch.into()];
        let row = txn
            .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during("fence operation")?;
        Ok(row.is_some())
    }

    /// Whether this claim still holds the operation.
    pub(crate) async fn is_held(&self, db: &impl ConnectionTrait) -> Result<bool> {
        let sql = format!("SELECT FROM operations WHERE {HELD}");
        let values = [self.id.into(), self.epoch.into()];
        let row = db
            .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during("confirm claim")?;
        Ok(row.is_some())
    }

    /// Records that the steps before `next` are done, in the transaction of
    /// what the last of them wrote.
    pub(crate) async fn advance_with(&self, txn: &DatabaseTransaction, next: i32) -> Result<bool> {
        let sql = format!("UPDATE operations SET {ADVANCE} WHERE {HELD}");
        self.write(txn, "record step", &sql, [next.into()]).await
    }

    /// Records that the steps before `next` are done; they wrote nothing here.
    pub(crate) async fn advance(&self, db: &impl ConnectionTrait, next: i32) -> Result<bool> {
        let sql = format!("{RELAXED} UPDATE operations SET {ADVANCE} FROM relaxed WHERE {HELD}");
        self.write(db, "record step", &sql, [next.into()]).await
    }

    /// Records how far the present step is.
    pub(crate) async fn progress(
        &self,
        db: &impl ConnectionTrait,
        done: i64,
        total: i64,
        unit: &str,
    ) -> Result<bool> {
        let sql = format!(
            "{RELAXED} UPDATE operations SET progress_done = $3, progress_total = $4,
                progress_unit = $5, updated_at = now()
            FROM relaxed WHERE id = $1 AND epoch = $2 AND state = 'RUNNING'"
        );
        self.write(db, "record progress", &sql, [done.into(), total.into(), unit.into()]).await
    }

    /// Records what a person should know though the step went well, once each.
    pub(crate) async fn warn(
        &self,
        db: &impl ConnectionTrait,
        warnings: serde_json::Value,
    ) -> Result<bool> {
        let sql = format!(
            "UPDATE operations SET updated_at = now(), warnings =
                (SELECT coalesce(jsonb_agg(DISTINCT w), '[]') FROM jsonb_array_elements(warnings || $3) w)
            WHERE {HELD}"
        );
        self.write(db, "record warnings", &sql, [warnings.into()]).await
    }

    /// Gives the operation back, to be claimed again after `delay` (at least
    /// half of it) with `attempt` attempts counted; at once where it is to be
    /// cancelled. Answers when, unless the claim is lost.
    pub(crate) async fn release(
        &self,
        db: &impl ConnectionTrait,
        delay: Duration,
        attempt: i32,
        reason: &str,
    ) -> Result<Option<DateTimeUtc>> {
        let sql = "UPDATE operations SET state = 'PENDING', node_id = NULL,
                lease_expires_at = NULL, attempt = $4, reason = $5, updated_at = now(),
                run_at = now() + CASE WHEN cancel_requested AND NOT unwinding
                    THEN interval '0' ELSE make_interval(secs => $3 * (0.5 + random() / 2)) END
            WHERE id = $1 AND epoch = $2 AND state = 'RUNNING' RETURNING run_at";
        let values: [Value; 5] = [
            self.id.into(),
            self.epoch.into(),
            delay.as_secs_f64().into(),
            attempt.into(),
            reason.into(),
        ];
        let row = db
            .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during("release operation")?;
        Ok(row.map(|row| row.try_get("", "run_at").during("release operation")).transpose()?)
    }

    /// Says of an operation that cannot be undone why it failed.
    pub(crate) async fn fail(
        &self,
        txn: &DatabaseTransaction,
        reason: &str,
        message: &str,
    ) -> Result<bool> {
        let sql =
            format!("UPDATE operations SET error_reason = $3, error_message = $4 WHERE {HELD}");
        self.write(txn, "record failure", &sql, [reason.into(), message.into()]).await
    }

    /// Decides the outcome: from now on only undoing remains.
    pub(crate) async fn begin_unwinding(
        &self,
        db: &impl ConnectionTrait,
        reason: &str,
        message: &str,
    ) -> Result<bool> {
        let sql = "UPDATE operations SET unwinding = true, attempt = 1, error_reason = $3,
                error_message = $4, reason = $4, updated_at = now()
            WHERE id = $1 AND epoch = $2 AND state = 'RUNNING'";
        self.write(db, "begin unwinding", sql, [reason.into(), message.into()]).await
    }

    /// Records the end.
    pub(crate) async fn finish(
        &self,
        db: &impl ConnectionTrait,
        state: OperationState,
        step: i32,
    ) -> Result<bool> {
        self.write(db, "finish operation", FINISH, [state.as_str().into(), step.into()]).await
    }

    /// Records success together with `ending`; with the commit, watchers are told.
    pub(crate) async fn finish_with(
        &self,
        db: &impl ConnectionTrait,
        step: i32,
        ending: Part,
    ) -> Result<bool> {
        let state = OperationState::Succeeded.as_str();
        let mut values: Vec<Value> =
            vec![self.id.into(), self.epoch.into(), state.into(), step.into()];
        let ending = ending.onto(&mut values);
        let told = format!("pg_notify('{CHANGED}', id::text)");
        let sql = format!("WITH ended AS ({FINISH} RETURNING {told}){ending} SELECT FROM ended");
        let ended = db
            .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during("finish operation")?;
        Ok(ended.is_some())
    }
}
