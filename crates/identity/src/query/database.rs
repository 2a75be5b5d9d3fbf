//! The orgs' databases.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement,
    sea_query::{Expr, ExprTrait},
};
use yuantus_domain::DatabaseState;

use crate::{
    Context, OrgScope, Part, Result, TenantScope,
    entity::database::{Column, Entity, Model},
};

const USABLE: &str =
    "SELECT * FROM databases WHERE tenant_id = $1 AND org_id = $2 AND state = 'READY'";

/// At most `limit` databases after `(tenant, org)`, in that order, of all
/// tenants: for the platform's own overviews.
pub async fn page(
    db: &impl ConnectionTrait,
    after: Option<(&str, &str)>,
    limit: usize,
) -> Result<Vec<Model>> {
    let mut query = Entity::find()
        .order_by_asc(Column::TenantId)
        .order_by_asc(Column::OrgId)
        .limit(limit as u64);
    if let Some((tenant, org)) = after {
        query = query.filter(
            Expr::tuple([Expr::col(Column::TenantId), Expr::col(Column::OrgId)])
                .gt(Expr::tuple([Expr::value(tenant), Expr::value(org)])),
        );
    }
    query.all(db).await.during("list databases")
}

impl TenantScope<'_> {
    pub(crate) async fn databases_of(
        &self,
        db: &impl ConnectionTrait,
        orgs: &[&str],
    ) -> Result<Vec<Model>> {
        Entity::find()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::OrgId.is_in(orgs.iter().copied()))
            .all(db)
            .await
            .during("list databases of tenant")
    }
}

impl OrgScope<'_> {
    /// The org's database.
    pub async fn database(&self, db: &impl ConnectionTrait) -> Result<Option<Model>> {
        Entity::find_by_id((self.tenant_id().to_owned(), self.org_id().to_owned()))
            .one(db)
            .await
            .during("find database")
    }

    /// The org's database if it can be used, with which `also` is
    /// written: its `cause` is the database.
    pub async fn usable_database(
        &self,
        db: &impl ConnectionTrait,
        also: Part,
    ) -> Result<Option<Model>> {
        let mut values = vec![self.tenant_id().into(), self.org_id().into()];
        let also = also.onto(&mut values);
        let sql = format!("WITH cause AS ({USABLE}){also} SELECT * FROM cause");
        Entity::find()
            .from_raw_sql(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .one(db)
            .await
            .during("find usable database")
    }

    /// Records where the database is.
    pub async fn set_database_state(
        &self,
        db: &impl ConnectionTrait,
        state: DatabaseState,
    ) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::State, Expr::value(state.as_str()))
            .col_expr(Column::UpdatedAt, Expr::current_timestamp())
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::OrgId.eq(self.org_id()))
            .exec(db)
            .await
            .during("set database state")
            .map(drop)
    }

    /// Records which migration the database is at, and by which bundle.
    pub async fn set_database_revision(
        &self,
        db: &impl ConnectionTrait,
        revision: i64,
        fingerprint: &str,
    ) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::Revision, Expr::value(revision))
            .col_expr(Column::BundleFingerprint, Expr::value(fingerprint))
            .col_expr(Column::UpdatedAt, Expr::current_timestamp())
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::OrgId.eq(self.org_id()))
            .exec(db)
            .await
            .during("set database revision")
            .map(drop)
    }
}
