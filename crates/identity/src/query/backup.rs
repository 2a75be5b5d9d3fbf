//! Backups.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, Statement, prelude::DateTimeUtc, sea_query::Expr,
};
use uuid::Uuid;
use yuantus_domain::BackupState;

use crate::{
    Context, OrgScope, Result,
    entity::backup::{ActiveModel, Column, Entity, Model},
};

/// Where the newest complete backup of any org is in the bucket.
pub async fn newest_complete(db: &impl ConnectionTrait) -> Result<Option<String>> {
    let newest = Entity::find()
        .filter(Column::State.eq(BackupState::Complete.as_str()))
        .order_by_desc(Column::Id)
        .one(db)
        .await
        .during("find newest backup")?;
    Ok(newest.map(|backup| backup.prefix))
}

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

    /// Records where in the bucket a claim is about to write a backup.
    pub async fn insert_backup_prefix(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
        prefix: &str,
    ) -> Result<()> {
        let sql = "INSERT INTO backup_prefixes (prefix, backup_id)
            SELECT $1, b.id FROM backups b
            WHERE b.id = $2 AND b.tenant_id = $3 AND b.org_id = $4";
        let values = [prefix.into(), id.into(), self.tenant_id().into(), self.org_id().into()];
        db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during("insert backup prefix")
            .map(drop)
    }

    /// Where in the bucket claims of a backup have written.
    pub async fn backup_prefixes(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
    ) -> Result<Vec<String>> {
        let sql = "SELECT p.prefix FROM backup_prefixes p JOIN backups b ON b.id = p.backup_id
            WHERE b.id = $1 AND b.tenant_id = $2 AND b.org_id = $3 ORDER BY p.created_at";
        let values = [id.into(), self.tenant_id().into(), self.org_id().into()];
        let rows = db
            .query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during("list backup prefixes")?;
        let prefixes = rows.iter().map(|row| row.try_get("", "prefix"));
        prefixes.collect::<std::result::Result<_, _>>().during("list backup prefixes")
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

    /// Records that a backup was read whole and found good; `note` says for
    /// people what was mended by the way, and is empty where nothing was.
    pub async fn set_backup_verified(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
        note: &str,
    ) -> Result<()> {
        self.update_backup(db, id, |u| {
            u.col_expr(Column::VerifiedAt, Expr::current_timestamp())
                .col_expr(Column::Reason, Expr::value(note))
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
