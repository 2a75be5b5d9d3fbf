//! A tenant's data as one document, and back.
//!
//! Invariants: putting back never changes or deletes what is there, and writes
//! nothing of a document that can be told to be wrong. Each org is
//! put back whole or not at all; what is asked again finds it there. A process
//! has one document in its hands at a time, and measures before it reads.

mod check;
mod put_back;

use serde_json::json;
use tokio::sync::Semaphore;
use yuantus_auth::tenancy::TenantFacts;
use yuantus_domain::{Error, OrgId, OrgKey, PageSize, Result, TenantId};
use yuantus_identity::{entity::user::Model as User, query::member::MemberAndUser};
use yuantus_tenant_data::{Session, Table, Values};

use super::{App, Page, audit};
pub use put_back::{Restore, RestoreMember, RestoreOrg, RestoreTable, RestoreUser, Restored};

/// The largest document, in bytes of rows in memory.
const MAX_BYTES: usize = 48 * 1024 * 1024;
/// Whose turn it is to read or put back a document.
static TURN: Semaphore = Semaphore::const_new(1);

/// A tenant's data.
pub struct TenantData {
    /// The tenant.
    pub tenant: TenantFacts,
    /// Its users.
    pub users: Vec<User>,
    /// Who is a member where.
    pub members: Vec<MemberAndUser>,
    /// Its orgs.
    pub orgs: Vec<OrgData>,
}

/// An org's data.
pub struct OrgData {
    /// Its id.
    pub id: String,
    /// The name people read.
    pub name: String,
    /// Its tables.
    pub tables: Vec<(Table, Vec<Values>)>,
}

impl App {
    /// Reads all of a tenant's data.
    pub async fn export_tenant(&self, id: &TenantId) -> Result<TenantData> {
        let tenant = self.get_tenant(id).await?;
        let _turn = TURN.acquire().await.map_err(Error::internal)?;
        let size = PageSize::parse(1000)?;
        let (mut orgs, mut members, mut left) = (Vec::new(), Vec::new(), MAX_BYTES);
        let mut token = String::new();
        loop {
            let page = self.list_orgs(id, size, &token).await?.page;
            for (org, _) in page.items {
                let key = OrgKey { tenant: id.clone(), org: OrgId::parse("org_id", &org.id)? };
                members.extend(self.all_members(&key, size).await?);
                let tables = self.export_org(&key, &mut left).await?;
                orgs.push(OrgData { id: org.id, name: org.name, tables });
            }
            token = page.next;
            if token.is_empty() {
                break;
            }
        }
        let users = self.all_users(id, size).await?;
        let details = json!({ "orgs": orgs.len(), "users": users.len() });
        let target = format!("tenants/{id}");
        audit::record(&self.db, "tenant.export", id.as_str(), "", target, details).await?;
        Ok(TenantData { tenant, users, members, orgs })
    }

    async fn all_users(&self, tenant: &TenantId, size: PageSize) -> Result<Vec<User>> {
        all(|token| async move { Ok(self.list_users(tenant, size, &token).await?.page) }).await
    }

    async fn all_members(&self, key: &OrgKey, size: PageSize) -> Result<Vec<MemberAndUser>> {
        all(|token| async move { Ok(self.list_members(key, size, &token).await?.page) }).await
    }

    /// All rows of an org, as of one moment; `left` is how much there may be.
    async fn export_org(
        &self,
        key: &OrgKey,
        left: &mut usize,
    ) -> Result<Vec<(Table, Vec<Values>)>> {
        let mut session = self.data_session(key).await?;
        session.begin_snapshot().await?;
        let read = read(&mut session, left).await;
        session.finish(read).await
    }
}

/// What stands on all pages; `page` reads the one of a token.
async fn all<T, F>(page: impl Fn(String) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<Page<T>>>,
{
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = page(token).await?;
        all.extend(page.items);
        token = page.next;
        if token.is_empty() {
            return Ok(all);
        }
    }
}

async fn read(session: &mut Session, left: &mut usize) -> Result<Vec<(Table, Vec<Values>)>> {
    let mut tables = Vec::new();
    for table in session.tables().await? {
        let bytes = session.measure(&table, *left).await?;
        *left = left.checked_sub(bytes).ok_or_else(|| {
            let message = "the tenant's data is too large for one document: make backups";
            Error::precondition("EXPORT_TOO_LARGE", message)
        })?;
        let rows = session.rows(&table).await?;
        tables.push((table, rows));
    }
    Ok(tables)
}
