//! Orgs.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, sea_query::Expr,
};
use yuantus_domain::{DatabaseName, DatabaseState, OrgStatus};

use crate::{
    Context, OrgScope, Part, Result, TenantScope,
    entity::{
        database,
        org::{Column, Entity, Model},
    },
};

/// The role has the database's name.
const INSERT: &str = ",
org AS (
    INSERT INTO orgs (tenant_id, id, name, status)
    SELECT $1, $2, $3, 'PROVISIONING' FROM cause
), database AS (
    INSERT INTO databases (tenant_id, org_id, name, role, state, sealed_password)
    SELECT $1, $2, $4, $4, 'PROVISIONING', $5 FROM cause
)";

const READY: &str = ",
database AS (
    UPDATE databases SET state = 'READY', revision = $3, bundle_fingerprint = $4,
        sealed_password = coalesce($5, sealed_password), updated_at = now()
    FROM ended WHERE tenant_id = $1 AND org_id = $2
), org AS (
    UPDATE orgs SET status = 'ACTIVE', reason = '', updated_at = now()
    FROM ended WHERE tenant_id = $1 AND orgs.id = $2
)";

/// An org with its database.
pub type OrgAndDatabase = (Model, database::Model);

impl TenantScope<'_> {
    /// How many orgs the tenant has.
    pub async fn count_orgs(&self, db: &impl ConnectionTrait) -> Result<u64> {
        let of_tenant = Entity::find().filter(Column::TenantId.eq(self.tenant.as_str()));
        of_tenant.count(db).await.during("count orgs")
    }

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

impl TenantScope<'_> {
    /// At most `limit` orgs that a user is an active member of, whose ids come
    /// after `after`, in the ids' order.
    pub async fn orgs_of(
        &self,
        db: &impl ConnectionTrait,
        user: i32,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Model>> {
        let sql = "SELECT orgs.* FROM orgs JOIN org_members member
                ON member.tenant_id = orgs.tenant_id AND member.org_id = orgs.id
            WHERE orgs.tenant_id = $1 AND member.user_id = $2 AND member.is_active
                AND orgs.id > $3
            ORDER BY orgs.id LIMIT $4";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [
            self.tenant.as_str().into(),
            user.into(),
            after.unwrap_or_default().into(),
            limit.into(),
        ];
        Entity::find()
            .from_raw_sql(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .all(db)
            .await
            .during("list orgs of user")
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

    /// With the operation that will make it, the `cause`, the org and its database are
    /// recorded, with the sealed password of its role.
    pub fn inserted(&self, name: &str, database: &DatabaseName, sealed_password: Vec<u8>) -> Part {
        let values = vec![
            self.tenant_id().into(),
            self.org_id().into(),
            name.into(),
            database.as_str().into(),
            sealed_password.into(),
        ];
        Part { sql: INSERT, values }
    }

    /// The same where the operation has been recorded before in the transaction.
    pub async fn insert(
        &self,
        txn: &impl ConnectionTrait,
        name: &str,
        database: &DatabaseName,
        sealed_password: Vec<u8>,
    ) -> Result<()> {
        let mut values = Vec::new();
        let part = self.inserted(name, database, sealed_password).onto(&mut values);
        let sql = format!("WITH cause AS (SELECT){part} SELECT");
        txn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during("insert org")
            .map(drop)
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

    /// With the end of the operation that made it, the database can be used,
    /// and so can the org; with another password where one is given.
    pub fn ready(
        &self,
        revision: i64,
        fingerprint: &str,
        sealed_password: Option<Vec<u8>>,
    ) -> Part {
        let values = vec![
            self.tenant_id().into(),
            self.org_id().into(),
            revision.into(),
            fingerprint.into(),
            sealed_password.into(),
        ];
        Part { sql: READY, values }
    }

    /// Gives the org another name; answers whether it is there.
    pub async fn rename_org(&self, db: &impl ConnectionTrait, name: &str) -> Result<bool> {
        let renamed = Entity::update_many()
            .col_expr(Column::Name, Expr::value(name))
            .col_expr(Column::UpdatedAt, Expr::current_timestamp())
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::Id.eq(self.org_id()))
            .exec(db)
            .await
            .during("rename org")?;
        Ok(renamed.rows_affected > 0)
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
