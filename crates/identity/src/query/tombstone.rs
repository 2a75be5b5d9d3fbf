//! Databases that a restore replaced.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, ExprTrait},
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QuerySelect, Statement};
use uuid::Uuid;
use yuantus_domain::DatabaseName;

use crate::{
    Context, OrgScope, Result,
    entity::tombstone::{Column, Entity, Model},
    query::clock::VETTED,
};

/// At most `limit` tombstones whose time has come, oldest first; none while
/// the clock is doubted.
pub async fn expired(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Model>> {
    Entity::find()
        .filter(Expr::col(Column::ExpiresAt).lte(Expr::cust(VETTED)))
        .order_by_asc(Column::ExpiresAt)
        .limit(limit)
        .all(db)
        .await
        .during("list expired tombstones")
}

/// All tombstones, those first whose time comes first.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Model>> {
    Entity::find()
        .order_by_asc(Column::ExpiresAt)
        .order_by_asc(Column::Name)
        .all(db)
        .await
        .during("list tombstones")
}

/// Ends the time that a tombstone is kept for; nothing where there is none.
pub async fn expire(db: &impl ConnectionTrait, name: &str) -> Result<Option<Model>> {
    let sql = "UPDATE tombstones SET expires_at = least(expires_at, now()) WHERE name = $1
        RETURNING *";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()]);
    Entity::find().from_raw_sql(statement).one(db).await.during("expire tombstone")
}

/// Forgets a tombstone whose database is gone.
pub async fn delete(db: &impl ConnectionTrait, name: &str) -> Result<()> {
    Entity::delete_many()
        .filter(Column::Name.eq(name))
        .exec(db)
        .await
        .during("delete tombstone")
        .map(drop)
}

impl OrgScope<'_> {
    /// Records that `name` is kept for `retention` from now on. A clock that is
    /// behind what was found right before does not shorten that.
    pub async fn put_tombstone(
        &self,
        db: &impl ConnectionTrait,
        name: &DatabaseName,
        operation: Uuid,
        retention: Duration,
    ) -> Result<()> {
        let sql = "INSERT INTO tombstones (name, tenant_id, org_id, operation_id, expires_at)
            VALUES ($1, $2, $3, $4, make_interval(secs => $5)
                + greatest(now(), (SELECT vetted_at FROM clock)))
            ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at";
        let values = [
            name.as_str().into(),
            self.tenant_id().into(),
            self.org_id().into(),
            operation.into(),
            retention.as_secs_f64().into(),
        ];
        db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during("insert tombstone")
            .map(drop)
    }
}
