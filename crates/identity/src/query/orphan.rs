//! What operations made and could not remove before they ended.
//!
//! Invariant: whatever an operation gives up removing is listed in the
//! statement that ends it, and stays listed until it is seen to be gone or the
//! operation is retried and answers for it again.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, Statement,
    Value, prelude::DateTimeUtc,
};
use uuid::Uuid;
use yuantus_domain::{OrgKey, OrphanKind};

use crate::{
    Context, Result,
    entity::orphan::{Column, Entity, Model},
};

/// Between the first two attempts to remove an orphan; doubled for each after.
const FIRST_DELAY: Duration = Duration::from_secs(60);
/// Never longer than this.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// Something that is left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: OrphanKind,
    /// Its name: that of a database or role, or a prefix in the bucket.
    pub name: String,
}

impl Leftover {
    /// A database.
    pub fn database(name: impl ToString) -> Self {
        Self { kind: OrphanKind::Database, name: name.to_string() }
    }

    /// A role.
    pub fn role(name: impl ToString) -> Self {
        Self { kind: OrphanKind::Role, name: name.to_string() }
    }

    /// The objects of a backup.
    pub fn backup_prefix(prefix: impl ToString) -> Self {
        Self { kind: OrphanKind::BackupPrefix, name: prefix.to_string() }
    }
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Lists what `operation` leaves behind, and why it could not be removed.
pub async fn insert(
    db: &impl ConnectionTrait,
    operation: Uuid,
    org: &OrgKey,
    left: &[Leftover],
    reason: &str,
) -> Result<()> {
    let sql = "INSERT INTO orphans (kind, name, operation_id, tenant_id, org_id, reason)
        SELECT kind, name, $3, $4, $5, $6 FROM unnest($1::text[], $2::text[]) AS o (kind, name)
        ON CONFLICT (kind, name) DO UPDATE SET operation_id = excluded.operation_id,
            tenant_id = excluded.tenant_id, org_id = excluded.org_id, reason = excluded.reason";
    let kinds: Vec<String> = left.iter().map(|left| left.kind.as_str().to_owned()).collect();
    let names: Vec<String> = left.iter().map(|left| left.name.clone()).collect();
    let values = [
        kinds.into(),
        names.into(),
        operation.into(),
        org.tenant.as_str().into(),
        org.org.as_str().into(),
        reason.into(),
    ];
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("list orphans")
        .map(drop)
}

/// Everything that is left behind, oldest first.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>> {
    Entity::find()
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Kind)
        .order_by_asc(Column::Name)
        .all(db)
        .await
        .during("read orphans")
}

/// At most `limit` orphans whose next attempt is due; databases before roles,
/// which can only be dropped after them. A time further ahead than any delay
/// was written by a clock that was ahead: it is due.
pub async fn due(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Model>> {
    let sql = "SELECT * FROM orphans
        WHERE next_attempt_at <= now() OR next_attempt_at > now() + make_interval(secs => $1)
        ORDER BY kind, next_attempt_at LIMIT $2";
    let values = [MAX_DELAY.as_secs_f64().into(), limit.cast_signed().into()];
    Entity::find()
        .from_raw_sql(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .all(db)
        .await
        .during("read due orphans")
}

/// Whether it is listed already.
pub async fn is_listed(db: &impl ConnectionTrait, left: &Leftover) -> Result<bool> {
    let key = (left.kind.as_str().to_owned(), left.name.clone());
    Ok(Entity::find_by_id(key).one(db).await.during("find orphan")?.is_some())
}

/// Records that an attempt to remove it failed; answers when the next is due.
pub async fn postpone(
    db: &impl ConnectionTrait,
    orphan: &Model,
    reason: &str,
) -> Result<Option<DateTimeUtc>> {
    let sql = "UPDATE orphans SET attempts = attempts + 1, reason = $3,
            next_attempt_at = now()
                + make_interval(secs => least($4 * 2 ^ least(attempts, 20), $5))
        WHERE kind = $1 AND name = $2 RETURNING next_attempt_at";
    let values = [
        orphan.kind.as_str().into(),
        orphan.name.as_str().into(),
        reason.into(),
        FIRST_DELAY.as_secs_f64().into(),
        MAX_DELAY.as_secs_f64().into(),
    ];
    let row = db
        .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("postpone orphan")?;
    row.map(|row| row.try_get("", "next_attempt_at").during("postpone orphan")).transpose()
}

/// Takes an orphan that is gone off the list, unless another operation has
/// left it again since.
pub async fn delete(db: &impl ConnectionTrait, orphan: &Model) -> Result<()> {
    let sql = "DELETE FROM orphans WHERE kind = $1 AND name = $2 AND operation_id = $3";
    let values =
        [orphan.kind.as_str().into(), orphan.name.as_str().into(), orphan.operation_id.into()];
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("delete orphan")
        .map(drop)
}

/// Takes off the list what an operation left, since it is retried.
pub async fn delete_of(db: &impl ConnectionTrait, operation: Uuid) -> Result<()> {
    Entity::delete_many()
        .filter(Column::OperationId.eq(operation))
        .exec(db)
        .await
        .during("delete orphans of operation")
        .map(drop)
}

/// Whether it is in use: the database or role of an org that is ready, or
/// where a complete backup is. Then it is nobody's leftover any more.
pub async fn is_in_use(db: &impl ConnectionTrait, orphan: &Model) -> Result<bool> {
    let sql = "SELECT $1 = 'backup_prefix' AND EXISTS (SELECT FROM backups
            WHERE state = 'COMPLETE' AND starts_with(prefix, $2))
        OR EXISTS (SELECT FROM databases WHERE state = 'READY'
            AND CASE $1 WHEN 'database' THEN name = $2 WHEN 'role' THEN role = $2 END) AS used";
    ask(db, sql, [orphan.kind.as_str().into(), orphan.name.as_str().into()]).await
}

/// Whether it may be removed now: it is listed, the operation that left it is
/// there and has given up (or has ended well, and it is no org's database), and
/// nothing of its lane is under way. To be asked
/// once the lane is taken on the server: whoever takes the operation up again
/// afterwards ends that session before it acts.
pub async fn may_remove(db: &impl ConnectionTrait, orphan: &Model) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM orphans x JOIN operations o ON o.id = x.operation_id
        WHERE x.kind = $1 AND x.name = $2 AND x.operation_id = $3
          AND (o.state IN ('FAILED', 'CANCELLED') OR o.state = 'SUCCEEDED'
            AND x.kind = 'database' AND NOT EXISTS (SELECT FROM databases d WHERE d.name = x.name))
          AND NOT EXISTS (SELECT FROM operations e
            WHERE e.lane = o.lane AND e.state IN ('PENDING', 'RUNNING'))) AS may";
    let values =
        [orphan.kind.as_str().into(), orphan.name.as_str().into(), orphan.operation_id.into()];
    ask(db, sql, values).await
}

async fn ask<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &'static str,
    values: [Value; N],
) -> Result<bool> {
    let row = db
        .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("find out about an orphan")?;
    let row = row.ok_or(sea_orm::DbErr::RecordNotFound("answer".into()));
    row.and_then(|row| row.try_get_by_index(0)).during("find out about an orphan")
}
