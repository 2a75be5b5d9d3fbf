//! Backups.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, prelude::DateTimeUtc, sea_query::Expr,
};
use uuid::Uuid;
use yuantus_domain::BackupState;

use crate::{
    Context, OrgScope, Result,
    entity::backup::{ActiveModel, Column, Entity, Model},
};

impl OrgScope<'_> {
    /// One backup of the org.
    pub async fn backup(&self, db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>> {
        Entity::find_by_id(id)
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::OrgId.eq(self.org_id()))
            .one(db)
            .await
            .during("find backup")
    }

    /// At most `limit` backups older than `before`, newest first.
    pub async fn backups(
        &self,
        db: &impl ConnectionTrait,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Model>> {
        let mut query = Entity::find()
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::OrgId.eq(self.org_id()))
            .order_by_desc(Column::Id)
            .limit(limit as u64);
        if let Some(before) = before {
            query = query.filter(Column::Id.lt(before));
        }
        query.all(db).await.during("list backups")
    }

    /// Records a backup that is to be made under `prefix`.
    pub async fn insert_backup(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
        prefix: &str,
    ) -> Result<Model> {
        ActiveModel {
            id: Set(id),
            tenant_id: Set(self.tenant_id().into()),
            org_id: Set(self.org_id().into()),
            state: Set(BackupState::Creating.as_str().into()),
            prefix: Set(prefix.into()),
            ..Default::default()
        }
        .insert(db)
        .await
        .during("insert backup")
    }

    /// Keeps the manifest of a backup that is not complete yet, and where in
    /// the bucket it is.
    pub async fn draft_manifest(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
        prefix: &str,
        manifest: serde_json::Value,
    ) -> Result<()> {
        self.update_backup(db, id, |u| {
            u.col_expr(Column::Prefix, Expr::value(prefix))
                .col_expr(Column::Manifest, Expr::value(manifest))
        })
        .await
    }

    /// Records that a backup is complete.
    pub async fn complete_backup(&self, db: &impl ConnectionTrait, id: Uuid) -> Result<()> {
        self.update_backup(db, id, |u| {
            u.col_expr(Column::State, Expr::value(BackupState::Complete.as_str()))
                .col_expr(Column::Reason, Expr::value(""))
                .col_expr(Column::CompletedAt, Expr::current_timestamp())
        })
        .await
    }

    /// Records that a backup failed, and for people why.
    pub async fn fail_backup(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
        reason: &str,
    ) -> Result<()> {
        self.update_backup(db, id, |u| {
            u.col_expr(Column::State, Expr::value(BackupState::Failed.as_str()))
                .col_expr(Column::Reason, Expr::value(reason))
                .col_expr(Column::Manifest, Expr::value(Option::<serde_json::Value>::None))
        })
        .await
    }

    /// Records that a failed backup is tried again.
    pub async fn reopen_backup(&self, db: &impl ConnectionTrait, id: Uuid) -> Result<()> {
        self.update_backup(db, id, |u| {
            u.col_expr(Column::State, Expr::value(BackupState::Creating.as_str()))
                .col_expr(Column::Reason, Expr::value(""))
        })
        .await
    }

    /// Records that a backup was read whole and found good.
    pub async fn set_backup_verified(&self, db: &impl ConnectionTrait, id: Uuid) -> Result<()> {
        self.update_backup(db, id, |u| {
            u.col_expr(Column::VerifiedAt, Expr::current_timestamp())
                .col_expr(Column::Reason, Expr::value(""))
        })
        .await
    }

    /// Records that a backup was read and found damaged, and for people how.
    pub async fn doubt_backup(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
        reason: &str,
    ) -> Result<()> {
        self.update_backup(db, id, |u| {
            u.col_expr(Column::VerifiedAt, Expr::value(Option::<DateTimeUtc>::None))
                .col_expr(Column::Reason, Expr::value(reason))
        })
        .await
    }

    async fn update_backup(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
        set: impl FnOnce(sea_orm::UpdateMany<Entity>) -> sea_orm::UpdateMany<Entity>,
    ) -> Result<()> {
        set(Entity::update_many())
            .filter(Column::Id.eq(id))
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::OrgId.eq(self.org_id()))
            .exec(db)
            .await
            .during("update backup")
            .map(drop)
    }
}
