//! Operations as the API reads them. What the engine writes is in the
//! `operations` crate.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement,
};
use uuid::Uuid;
use yuantus_domain::{OperationState, OperationType, OrgId, TenantId};

use crate::{
    Context, Result, TenantScope,
    entity::operation::{Column, Entity, Model},
};

/// Which operations to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only this org's.
    pub org: Option<OrgId>,
    /// Only in this state.
    pub state: Option<OperationState>,
    /// Only of this type.
    pub kind: Option<OperationType>,
}

/// One operation, of whichever tenant: for the platform and the engine.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(db).await.during("find operation")
}

/// At most `limit` operations older than `before` (a `seq`), newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Model>> {
    let mut query = Entity::find().order_by_desc(Column::Seq).limit(limit as u64);
    if let Some(tenant) = &filter.tenant {
        query = query.filter(Column::TenantId.eq(tenant.as_str()));
    }
    if let Some(org) = &filter.org {
        query = query.filter(Column::OrgId.eq(org.as_str()));
    }
    if let Some(state) = filter.state {
        query = query.filter(Column::State.eq(state.as_str()));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(Column::Kind.eq(kind.as_str()));
    }
    if let Some(before) = before {
        query = query.filter(Column::Seq.lt(before));
    }
    query.all(db).await.during("list operations")
}

/// Every operation that has not ended, oldest first.
pub async fn unfinished(db: &impl ConnectionTrait) -> Result<Vec<Model>> {
    Entity::find()
        .filter(
            Column::State
                .is_in([OperationState::Pending.as_str(), OperationState::Running.as_str()]),
        )
        .order_by_asc(Column::Seq)
        .all(db)
        .await
        .during("list unfinished operations")
}

/// Ends an operation as cancelled, undoing nothing; `why` is for people. One
/// that a living worker is at is left alone. Answers whether it was ended.
pub async fn cancel_as_it_is(db: &impl ConnectionTrait, id: Uuid, why: &str) -> Result<bool> {
    let sql = "UPDATE operations SET state = 'CANCELLED', node_id = NULL,
            lease_expires_at = NULL, reason = $2, error_reason = 'CANCELLED',
            error_message = $2, finished_at = now(), updated_at = now()
        WHERE id = $1
          AND (state = 'PENDING' OR state = 'RUNNING' AND lease_expires_at < now())";
    let values = [id.into(), why.into()];
    let done = db
        .execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("cancel operation as it is")?;
    Ok(done.rows_affected() == 1)
}

impl TenantScope<'_> {
    /// One operation of the tenant.
    pub async fn operation(&self, db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>> {
        Entity::find_by_id(id)
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .one(db)
            .await
            .during("find operation of tenant")
    }
}
