//! Migrations of the orgs' databases.

use serde_json::json;
use yuantus_auth::caller;
use yuantus_domain::{
    DatabaseState, Error, IdempotencyKey, OperationType, OrgKey, PageSize, Result, TenantId,
};
use yuantus_identity::{
    entity::{database, operation::Model as Operation},
    for_org, query,
};
use yuantus_operations::{Enqueued, NewOperation, enqueue};

use super::{App, Page, audit, org_name, page};

/// Where one org's database is.
#[derive(Clone, Debug)]
pub struct MigrationStatus {
    /// The tenant's id.
    pub tenant: String,
    /// The org's id.
    pub org: String,
    /// The version it is at.
    pub revision: i64,
    /// The bundle's newest version.
    pub target: i64,
    /// Versions still to be applied.
    pub pending: Vec<i64>,
}

/// The database that a page of all databases ended with: `tenant/org`.
fn parse_cursor(cursor: &str) -> Result<OrgKey> {
    let (tenant, org) = cursor.split_once('/').ok_or_else(page::refused)?;
    OrgKey::parse(tenant, org).map_err(|_| page::refused())
}

impl App {
    /// Reads where one org's database is.
    pub async fn get_migration_status(&self, key: &OrgKey) -> Result<MigrationStatus> {
        let (_, database) = self.get_org(key).await?;
        Ok(self.status_of(&database))
    }

    /// Reads where the databases of a tenant, or of all tenants, are.
    pub async fn list_migration_statuses(
        &self,
        tenant: Option<&TenantId>,
        size: PageSize,
        token: &str,
    ) -> Result<Page<MigrationStatus>> {
        let principal = caller::principal()?;
        let own;
        let tenant = match tenant {
            Some(tenant) => Some(tenant),
            None if principal.is_platform() => None,
            None => {
                own = TenantId::parse("tenant_id", &principal.tenant)?;
                Some(&own)
            }
        };
        let page = match tenant {
            Some(tenant) => {
                let orgs = self.list_orgs(tenant, size, token).await?;
                orgs.page.map(|(_, database)| database)
            }
            None => self.all_databases(size, token).await?,
        };
        Ok(page.map(|database| self.status_of(&database)))
    }

    async fn all_databases(&self, size: PageSize, token: &str) -> Result<Page<database::Model>> {
        let after: Option<String> = page::cursor(token)?;
        let after = after.as_deref().map(parse_cursor).transpose()?;
        let after = after.as_ref().map(|key| (key.tenant.as_str(), key.org.as_str()));
        let rows = query::database::page(&self.db, after, page::limit(size)).await?;
        Ok(Page::of(rows, size, |d| format!("{}/{}", d.tenant_id, d.org_id)))
    }

    fn status_of(&self, database: &database::Model) -> MigrationStatus {
        MigrationStatus {
            tenant: database.tenant_id.clone(),
            org: database.org_id.clone(),
            revision: database.revision,
            target: self.bundle.target(),
            pending: self.bundle.pending(database.revision),
        }
    }

    /// Records the operation that migrates one org's database.
    pub async fn apply_migrations(
        &self,
        key: &OrgKey,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Operation> {
        let request = json!({ "rpc": "ApplyMigrations", "org": key });
        let new = self.operation(OperationType::MigrateDatabase, key, request)?;
        self.start(NewOperation { idempotency, ..new }, "migration.apply").await
    }

    /// Records an operation on an org that has a database, or answers the one
    /// that the same request made before.
    pub(super) async fn start(&self, new: NewOperation, action: &'static str) -> Result<Operation> {
        let key = new.key.clone();
        let details = new.request.clone();
        caller::principal()?.may_act_for(&key.tenant)?;
        if let Some(before) = self.asked_before(&new).await? {
            return Ok(before);
        }
        let txn = self.begin().await?;
        let org = for_org(&key).org_for_update(&txn).await?;
        if org.is_none() {
            return Err(Error::not_found("org", &key));
        }
        let target = new.target.clone();
        let operation = match enqueue(&txn, new).await? {
            Enqueued::Before(operation) => return Ok(operation),
            Enqueued::New(operation) => operation,
        };
        self.ready_database(&txn, &key).await?;
        audit::record(&txn, action, key.tenant.as_str(), key.org.as_str(), target, details).await?;
        self.commit(txn).await?;
        Ok(operation)
    }

    pub(super) async fn ready_database(
        &self,
        txn: &impl sea_orm::ConnectionTrait,
        key: &OrgKey,
    ) -> Result<()> {
        self.active_tenant(txn, &key.tenant).await?;
        let database = for_org(key).database(txn).await?;
        match database {
            Some(database) if database.state == DatabaseState::Ready.as_str() => Ok(()),
            _ => Err(Error::precondition(
                "DATABASE_NOT_READY",
                format!("{} has no usable database", org_name(key)),
            )),
        }
    }
}
