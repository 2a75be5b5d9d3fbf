//! Keys of machines.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    Context, Result, TenantScope,
    entity::api_key::{Column, Entity, Model},
};

/// A key to be recorded.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    /// Its id.
    pub id: Uuid,
    /// The only org it is good for, if there is one.
    pub org: Option<&'a str>,
    /// Unique among the tenant's.
    pub name: &'a str,
    /// The first letters of the secret.
    pub prefix: &'a str,
    /// SHA-256 of the secret.
    pub secret_hash: Vec<u8>,
    /// The name of a role.
    pub role: &'a str,
    /// Who made it, for people.
    pub created_by: &'a str,
    /// The user who answers for it.
    pub owner: Option<i32>,
    /// For how many seconds it is good; for ever if none.
    pub seconds: Option<i64>,
}

const INSERT: &str = "
INSERT INTO api_keys
    (id, tenant_id, org_id, name, prefix, secret_hash, role, created_by, owner_id, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + $10 * interval '1 second') RETURNING *";

/// A use is recorded once a minute.
const USE: &str = "
WITH used AS (
    UPDATE api_keys SET last_used_at = now() WHERE secret_hash = $1 AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > now())
        AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
)
SELECT * FROM api_keys WHERE secret_hash = $1 AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > now())";

/// The key of that hash, if it can be used, and records that it is.
pub async fn use_by_hash(db: &impl ConnectionTrait, hash: &[u8]) -> Result<Option<Model>> {
    let statement =
        Statement::from_sql_and_values(DbBackend::Postgres, USE, [hash.to_vec().into()]);
    Entity::find().from_raw_sql(statement).one(db).await.during("use API key")
}

impl TenantScope<'_> {
    /// Records a key.
    pub async fn insert_api_key(
        &self,
        db: &impl ConnectionTrait,
        new: NewKey<'_>,
    ) -> Result<Model> {
        let values = [
            new.id.into(),
            self.tenant.as_str().into(),
            new.org.into(),
            new.name.into(),
            new.prefix.into(),
            new.secret_hash.into(),
            new.role.into(),
            new.created_by.into(),
            new.owner.into(),
            new.seconds.into(),
        ];
        Entity::find()
            .from_raw_sql(Statement::from_sql_and_values(DbBackend::Postgres, INSERT, values))
            .one(db)
            .await
            .and_then(|row| row.ok_or(sea_orm::DbErr::RecordNotInserted))
            .during("insert API key")
    }

    /// At most `limit` keys that were not revoked, newest first, older than
    /// `before`.
    pub async fn api_keys(
        &self,
        db: &impl ConnectionTrait,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Model>> {
        let mut query = Entity::find()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::RevokedAt.is_null())
            .order_by_desc(Column::Id)
            .limit(limit as u64);
        if let Some(before) = before {
            query = query.filter(Column::Id.lt(before));
        }
        query.all(db).await.during("list API keys")
    }

    /// Ends a key; `None` where there is none to end.
    pub async fn revoke_api_key(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
    ) -> Result<Option<Model>> {
        let revoked = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::current_timestamp())
            .filter(Column::Id.eq(id))
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::RevokedAt.is_null())
            .exec_with_returning(db)
            .await
            .during("revoke API key")?;
        Ok(revoked.into_iter().next())
    }
}
