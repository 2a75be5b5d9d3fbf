//! Tenants.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, EntityTrait, QueryFilter};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryOrder, QuerySelect, sea_query::Expr};
use yuantus_domain::{Plan, TenantId, TenantStatus};

use crate::{
    Context, Part, Result, TenantScope,
    entity::tenant::{ActiveModel, Column, Entity, Model},
};

/// A tenant to be recorded.
#[derive(Clone, Debug)]
pub struct NewTenant<'a> {
    /// Its id.
    pub id: &'a TenantId,
    /// The name people read.
    pub name: &'a str,
    /// Its plan.
    pub plan: Plan,
    /// The client's key and the hash of its request.
    pub idempotency: Option<(&'a str, Vec<u8>)>,
}

/// What to change of a tenant; `None` leaves it.
#[derive(Clone, Debug)]
pub struct Changes<'a> {
    /// The name people read.
    pub name: Option<&'a str>,
    /// Where it is in its life.
    pub status: Option<TenantStatus>,
    /// Its plan.
    pub plan: Option<Plan>,
}

/// Records a tenant, active at once: it has no database of its own to wait for.
pub async fn insert(db: &impl ConnectionTrait, new: NewTenant<'_>) -> Result<Model> {
    let (key, hash) = new.idempotency.map(|(k, h)| (k.to_owned(), h)).unzip();
    ActiveModel {
        id: Set(new.id.to_string()),
        name: Set(new.name.to_owned()),
        status: Set(TenantStatus::Active.as_str().into()),
        plan: Set(new.plan.as_str().into()),
        idempotency_key: Set(key),
        request_hash: Set(hash),
        ..Default::default()
    }
    .insert(db)
    .await
    .during("insert tenant")
}

/// The tenant that a request with this key made.
pub async fn by_idempotency_key(db: &impl ConnectionTrait, key: &str) -> Result<Option<Model>> {
    Entity::find().filter(Column::IdempotencyKey.eq(key)).one(db).await.during("find tenant by key")
}

/// At most `limit` tenants whose ids come after `after`, in the ids' order.
pub async fn page(
    db: &impl ConnectionTrait,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Model>> {
    let mut query = Entity::find().order_by_asc(Column::Id).limit(limit as u64);
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    query.all(db).await.during("list tenants")
}

const ACTIVE: &str = "SELECT FROM tenants WHERE id = $1 AND status = 'ACTIVE'";

/// How many tenants there are.
pub async fn count(db: &impl ConnectionTrait) -> Result<u64> {
    Entity::find().count(db).await.during("count tenants")
}

impl TenantScope<'_> {
    /// The tenant itself.
    pub async fn tenant(&self, db: &impl ConnectionTrait) -> Result<Option<Model>> {
        Entity::find_by_id(self.tenant.as_str()).one(db).await.during("find tenant")
    }

    /// One row, if the tenant is active.
    pub fn active(&self) -> Part {
        Part { sql: ACTIVE, values: vec![self.tenant.as_str().into()] }
    }

    /// The tenant itself, locked until the transaction ends.
    pub async fn tenant_for_update(&self, db: &impl ConnectionTrait) -> Result<Option<Model>> {
        Entity::find_by_id(self.tenant.as_str())
            .lock_exclusive()
            .one(db)
            .await
            .during("lock tenant")
    }

    /// Changes the tenant; answers it as it is then.
    pub async fn update_tenant(
        &self,
        db: &impl ConnectionTrait,
        changes: Changes<'_>,
    ) -> Result<Option<Model>> {
        let mut update = Entity::update_many()
            .col_expr(Column::UpdatedAt, Expr::current_timestamp())
            .filter(Column::Id.eq(self.tenant.as_str()));
        if let Some(name) = changes.name {
            update = update.col_expr(Column::Name, Expr::value(name));
        }
        if let Some(status) = changes.status {
            update = update.col_expr(Column::Status, Expr::value(status.as_str()));
        }
        if let Some(plan) = changes.plan {
            update = update.col_expr(Column::Plan, Expr::value(plan.as_str()));
        }
        let changed = update.exec_with_returning(db).await.during("update tenant")?;
        Ok(changed.into_iter().next())
    }
}
