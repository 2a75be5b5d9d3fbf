//! Orgs.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};
use yuantus_domain::{DatabaseState, OrgStatus};

use crate::{
    Context, OrgScope, Result, TenantScope,
    entity::{
        database,
        org::{ActiveModel, Column, Entity, Model},
    },
};

/// An org with its database.
pub type OrgAndDatabase = (Model, database::Model);

impl TenantScope<'_> {
    /// At most `limit` orgs whose ids come after `after`, in the ids' order,
    /// with their databases.
    pub async fn orgs(
        &self,
        db: &impl ConnectionTrait,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<OrgAndDatabase>> {
        let mut query = Entity::find()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .order_by_asc(Column::Id)
            .limit(limit as u64);
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after));
        }
        let orgs = query.all(db).await.during("list orgs")?;
        let ids: Vec<&str> = orgs.iter().map(|org| &*org.id).collect();
        let databases = self.databases_of(db, &ids).await?;
        Ok(orgs
            .into_iter()
            .filter_map(|org| {
                let database = databases.iter().find(|d| d.org_id == org.id)?.clone();
                Some((org, database))
            })
            .collect())
    }
}

impl OrgScope<'_> {
    /// The org itself.
    pub async fn org(&self, db: &impl ConnectionTrait) -> Result<Option<Model>> {
        Entity::find_by_id((self.tenant_id().to_owned(), self.org_id().to_owned()))
            .one(db)
            .await
            .during("find org")
    }

    /// The org itself, locked until the transaction ends: what decides about
    /// an org's operations takes turns here.
    pub async fn org_for_update(&self, db: &impl ConnectionTrait) -> Result<Option<Model>> {
        Entity::find_by_id((self.tenant_id().to_owned(), self.org_id().to_owned()))
            .lock_exclusive()
            .one(db)
            .await
            .during("lock org")
    }

    /// Records the org; its database is still to be made.
    pub async fn insert_org(&self, db: &impl ConnectionTrait, name: &str) -> Result<Model> {
        ActiveModel {
            tenant_id: Set(self.tenant_id().into()),
            id: Set(self.org_id().into()),
            name: Set(name.into()),
            status: Set(OrgStatus::Provisioning.as_str().into()),
            ..Default::default()
        }
        .insert(db)
        .await
        .during("insert org")
    }

    /// Records that setting the org up failed, and for people why; one that is
    /// in use by now stays as it is.
    pub async fn fail_provisioning(&self, db: &impl ConnectionTrait, reason: &str) -> Result<()> {
        let failed = Entity::update_many()
            .col_expr(Column::Status, Expr::value(OrgStatus::Failed.as_str()))
            .col_expr(Column::Reason, Expr::value(reason))
            .col_expr(Column::UpdatedAt, Expr::current_timestamp())
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::Id.eq(self.org_id()))
            .filter(Column::Status.eq(OrgStatus::Provisioning.as_str()))
            .exec(db)
            .await
            .during("record failed provisioning")?;
        if failed.rows_affected == 1 {
            self.set_database_state(db, DatabaseState::Failed).await?;
        }
        Ok(())
    }

    /// Records where the org is, and for people why.
    pub async fn set_org_status(
        &self,
        db: &impl ConnectionTrait,
        status: OrgStatus,
        reason: &str,
    ) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::Status, Expr::value(status.as_str()))
            .col_expr(Column::Reason, Expr::value(reason))
            .col_expr(Column::UpdatedAt, Expr::current_timestamp())
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::Id.eq(self.org_id()))
            .exec(db)
            .await
            .during("set org status")
            .map(drop)
    }
}
