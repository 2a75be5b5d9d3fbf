//! Claiming: one short statement takes the heads of free lanes, and notes the
//! newest epoch beside them. In recovery mode there is nothing to claim.

use std::time::Duration;

use sea_orm::{DatabaseConnection, DbBackend, EntityTrait, Statement};
use yuantus_identity::{
    Context, Error as IdentityError,
    entity::operation::{Entity, Model},
};

use crate::Result;

const CLAIM: &str = "
WITH heads AS (
    SELECT o.id FROM operations o
    WHERE o.state = 'PENDING' AND o.run_at <= now() AND o.type = ANY ($4)
      AND NOT EXISTS (
        SELECT FROM operations e
        WHERE e.lane = o.lane AND e.state IN ('PENDING', 'RUNNING')
          AND (e.seq < o.seq OR e.state = 'RUNNING'))
      AND NOT EXISTS (SELECT FROM deployment d WHERE d.recovery_since IS NOT NULL)
    ORDER BY o.seq
    LIMIT $1
    FOR UPDATE SKIP LOCKED
),
claimed AS (
UPDATE operations o SET
    state = 'RUNNING', epoch = nextval('operation_epochs'), attempt = o.attempt + 1, node_id = $2,
    lease_expires_at = now() + make_interval(secs => $3),
    started_at = coalesce(o.started_at, now()), updated_at = now()
FROM heads WHERE o.id = heads.id
RETURNING o.*),
noted AS (
    INSERT INTO claimed_epochs (slot, epoch)
    SELECT abs(hashtext($2) % 64), max(epoch) FROM claimed HAVING max(epoch) IS NOT NULL
    ON CONFLICT (slot) DO UPDATE SET epoch = greatest(claimed_epochs.epoch, excluded.epoch)
)
SELECT * FROM claimed";

/// Claims at most `limit` operations of `kinds` for `node`. Two workers that claim at
/// the same moment may meet in one lane; the unique index lets one of them
/// through and the other finds nothing this time.
pub(crate) async fn claim(
    db: &DatabaseConnection,
    node: &str,
    kinds: &[String],
    limit: usize,
    lease: Duration,
) -> Result<Vec<Model>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let kinds = kinds.to_vec();
    let values = [limit.into(), node.into(), lease.as_secs_f64().into(), kinds.into()];
    let claimed = Entity::find()
        .from_raw_sql(Statement::from_sql_and_values(DbBackend::Postgres, CLAIM, values))
        .all(db)
        .await
        .during("claim operations");
    match claimed {
        Err(error) if error.is_unique_violation() => Ok(Vec::new()),
        other => other.map_err(IdentityError::into),
    }
}
