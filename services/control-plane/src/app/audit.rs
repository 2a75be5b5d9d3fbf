//! The audit trail: writing entries of the running request, and reading,
//! verifying and pruning what was written.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{Stream, stream::try_unfold};
use sea_orm::{ConnectionTrait, prelude::DateTimeUtc};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use yuantus_audit::{Report, Retention, Signing, Trail};
use yuantus_auth::{Principal, Signer, caller};
use yuantus_domain::{Error, PageSize, Result, TenantId, id::PLATFORM};
use yuantus_identity::{
    entity::audit_log::Model,
    for_tenant,
    query::{
        audit_chain,
        audit_log::{self, Entry, Filter, Place},
    },
};

use super::{App, Page, page};

/// How many entries an export reads at a time.
const EXPORT: usize = 500;
/// Where counting stops.
const COUNT: u64 = 100_000;

/// What the use cases need for the audit trail.
pub struct Audit {
    /// Takes what nobody waits for.
    pub trail: Trail,
    /// Signs checkpoints.
    pub signer: Signer,
    /// How often checkpoints are signed.
    pub checkpoint_interval: Duration,
    /// How long entries are kept.
    pub retention: Retention,
    /// How often they are pruned; never but on request if none.
    pub prune_interval: Option<Duration>,
    /// Verifications read all there is: one at a time.
    pub verifying: Arc<Semaphore>,
}

/// How long a tenant's entries are kept.
#[derive(Debug)]
pub struct KeptFor {
    /// The tenant; all if none.
    pub tenant: Option<TenantId>,
    /// For how long.
    pub retention: Retention,
    /// How often they are pruned.
    pub prune_interval: Option<Duration>,
    /// When they last were.
    pub last_prune: Option<DateTimeUtc>,
}

/// Writes that the caller (without a request: whoever is at the console) did
/// `action` to `target`, in the transaction of the change. The last statement
/// before its commit: until then the tenant's other writers wait.
pub(super) async fn record(
    txn: &impl ConnectionTrait,
    action: &'static str,
    tenant: &str,
    org: &str,
    target: String,
    details: Value,
) -> Result<()> {
    let entry = of_org(action, tenant, org, target, details);
    Ok(audit_log::append(txn, entry).await?)
}

/// What [`record`] writes.
pub(super) fn of_org(
    action: &'static str,
    tenant: &str,
    org: &str,
    target: String,
    details: Value,
) -> Entry {
    Entry { org: org.to_owned(), target, details, ..entry(action, tenant) }
}

/// As [`record`], of somebody who is no caller yet.
pub(super) async fn record_of(
    txn: &impl ConnectionTrait,
    who: &Principal,
    action: &'static str,
    target: String,
    details: Value,
) -> Result<()> {
    let entry = Entry {
        org: who.org.as_ref().map(ToString::to_string).unwrap_or_default(),
        actor: who.display_name(),
        user_id: Some(who.user_id),
        target,
        details,
        ..entry(action, &who.tenant)
    };
    Ok(audit_log::append(txn, entry).await?)
}

/// The running request's part of an entry.
pub(super) fn entry(action: &'static str, tenant: &str) -> Entry {
    let caller = caller::current();
    let principal = caller.as_ref().and_then(|caller| caller.principal.clone());
    Entry {
        tenant: tenant.to_owned(),
        actor: match (&principal, &caller) {
            (Some(principal), _) => principal.display_name(),
            (None, Some(_)) => "nobody".into(),
            (None, None) => "console".into(),
        },
        user_id: principal.map(|p| p.user_id).filter(|id| *id > 0),
        action,
        request_id: caller.as_ref().map(|c| c.request_id.clone()).unwrap_or_default(),
        client_ip: caller.as_ref().map(|c| c.client_ip.to_string()).unwrap_or_default(),
        user_agent: caller.as_ref().map(|c| c.user_agent.clone()).unwrap_or_default(),
        ..Entry::default()
    }
}

impl App {
    /// Records that somebody was refused, such as `login.fail`, without
    /// waiting for it. `subject` is what it was about, such as the username:
    /// the same again becomes one entry with a count.
    pub(super) fn record_refusal(
        &self,
        action: &'static str,
        tenant: &str,
        target: &str,
        details: Value,
        subject: &str,
    ) {
        let entry = Entry { target: target.to_owned(), details, ..entry(action, tenant) };
        self.audit.trail.coalesced(entry, subject);
    }

    /// Reads a page of entries, newest first.
    pub async fn list_audit_logs(
        &self,
        filter: Filter,
        size: PageSize,
        token: &str,
    ) -> Result<Page<Model>> {
        let filter = audited(filter)?;
        let before = page::cursor::<String>(token)?.as_deref().map(parse_place).transpose()?;
        self.audit.trail.flush().await;
        let rows = audit_log::page(&self.db, &filter, before, 0, page::limit(size)).await?;
        Ok(Page::of(rows, size, |row| format!("{}.{}", row.created_at.timestamp_micros(), row.id)))
    }

    /// Writes an entry and reads it again.
    pub async fn test_audit(&self) -> Result<Model> {
        let tenant = match caller::tenant() {
            Ok(tenant) => tenant.to_string(),
            Err(_) => caller::principal()?.tenant,
        };
        let target = format!("tenants/{tenant}");
        record(&self.db, "audit.test", &tenant, "", target, json!({})).await?;
        let filter = Filter {
            tenant: Some(TenantId::parse("tenant_id", &tenant)?),
            action: Some("audit.test".into()),
            ..Filter::default()
        };
        let newest = audit_log::page(&self.db, &filter, None, 0, 1).await?.into_iter().next();
        newest.ok_or_else(|| Error::not_found("audit log", "audit.test"))
    }

    /// Reads `limit` entries, newest first, but for the first `offset`, and
    /// counts all.
    pub async fn list_audit_items(
        &self,
        filter: Filter,
        limit: PageSize,
        offset: usize,
    ) -> Result<(Vec<Model>, i64)> {
        let filter = audited(filter)?;
        self.audit.trail.flush().await;
        let rows = audit_log::page(&self.db, &filter, None, offset, limit.get()).await?;
        Ok((rows, audit_log::count(&self.db, &filter, COUNT).await?))
    }

    /// All entries, oldest first. That they were exported is one more.
    pub async fn export_audit_logs(
        &self,
        filter: Filter,
    ) -> Result<impl Stream<Item = Result<Model>> + Send + use<>> {
        let filter = audited(filter)?;
        self.audit.trail.flush().await;
        let tenant = filter.tenant.as_ref().map_or(PLATFORM, TenantId::as_str);
        record(&self.db, "audit.export", tenant, "", target(tenant), json!({})).await?;
        let state = (self.clone(), filter, None, VecDeque::new());
        Ok(try_unfold(state, async |(app, filter, mut after, mut rows)| {
            if rows.is_empty() {
                rows = audit_log::oldest(&app.db, &filter, after, EXPORT).await?.into();
            }
            let Some(row) = rows.pop_front() else { return Ok(None) };
            after = Some(Place::of(&row));
            Ok(Some((row, (app, filter, after, rows))))
        }))
    }

    /// What the trail is signed and verified with.
    fn signing(&self) -> Signing<'_> {
        let interval = self.audit.checkpoint_interval.as_secs();
        let interval = i64::try_from(interval).unwrap_or(i64::MAX);
        Signing { db: &self.db, signer: &self.audit.signer, store: &self.store, interval }
    }

    /// Verifies the chain of a tenant, or of all, one after the other. That
    /// they were verified is one entry more, behind what was verified.
    pub async fn verify_audit(
        &self,
        tenant: Option<TenantId>,
    ) -> Result<impl Stream<Item = Result<Report>> + Send + use<>> {
        let tenant = self.audited_tenant(tenant).await?;
        self.audit.trail.flush().await;
        let tenants = match &tenant {
            Some(tenant) => vec![tenant.to_string()],
            None => audit_chain::tenants(&self.db).await?,
        };
        let name = tenant.as_ref().map_or(PLATFORM, TenantId::as_str);
        let entry = Entry { target: target(name), ..entry("audit.verify", name) };
        let verifying = Arc::clone(&self.audit.verifying).acquire_owned().await;
        let run = Verification {
            app: self.clone(),
            left: tenants.into(),
            entry,
            tenants: 0,
            rows: 0,
            broken: Vec::new(),
            _one_at_a_time: verifying.map_err(Error::internal)?,
        };
        Ok(try_unfold(run, Verification::next))
    }

    /// Reads how long the entries of a tenant are kept.
    pub async fn audit_retention(&self, tenant: Option<TenantId>) -> Result<KeptFor> {
        let tenant = self.audited_tenant(tenant).await?;
        let last_prune =
            audit_chain::last_prune(&self.db, tenant.as_ref().map(TenantId::as_str)).await?;
        let (retention, prune_interval) = (self.audit.retention, self.audit.prune_interval);
        Ok(KeptFor { tenant, retention, prune_interval, last_prune })
    }

    /// Deletes what the configuration no longer keeps of a tenant's entries,
    /// or of all tenants'; answers how many.
    pub async fn prune_audit(&self, tenant: Option<TenantId>) -> Result<(KeptFor, i64)> {
        let kept = self.audit_retention(tenant).await?;
        let tenants = match &kept.tenant {
            Some(tenant) => vec![tenant.to_string()],
            None => audit_chain::tenants(&self.db).await?,
        };
        let name = kept.tenant.as_ref().map_or(PLATFORM, TenantId::as_str);
        let by = entry("audit.prune", name);
        let mut deleted = 0;
        for tenant in tenants {
            let retention = self.audit.retention;
            deleted += yuantus_audit::prune(self.signing(), &tenant, retention, &by).await?;
        }
        if deleted == 0 {
            let details = json!({ "rows": 0 });
            record(&self.db, "audit.prune", name, "", target(name), details).await?;
        }
        Ok((kept, deleted))
    }

    /// The tenant whose trail is meant, if the caller may see it: `None` is
    /// all of them.
    async fn audited_tenant(&self, named: Option<TenantId>) -> Result<Option<TenantId>> {
        let tenant = audited(Filter { tenant: named, ..Filter::default() })?.tenant;
        if let Some(tenant) = tenant.as_ref().filter(|tenant| tenant.as_str() != PLATFORM) {
            let found = for_tenant(tenant).tenant(&self.db).await?;
            found.ok_or_else(|| Error::not_found("tenant", tenant))?;
        }
        Ok(tenant)
    }
}

/// Narrows a filter to what the caller may see.
fn audited(mut filter: Filter) -> Result<Filter> {
    let principal = caller::principal()?;
    match &filter.tenant {
        Some(tenant) => principal.may_act_for(tenant)?,
        None => {
            filter.tenant = caller::current().and_then(|caller| caller.tenant.clone());
            if filter.tenant.is_none() && !principal.is_platform() {
                filter.tenant = Some(TenantId::parse("tenant_id", &principal.tenant)?);
            }
        }
    }
    Ok(filter)
}

/// How the API names a tenant's trail.
fn target(tenant: &str) -> String {
    format!("tenants/{tenant}/audit")
}

fn parse_place(cursor: &str) -> Result<Place> {
    let (at, id) = cursor.split_once('.').ok_or_else(page::refused)?;
    let at = at.parse().ok().and_then(DateTimeUtc::from_timestamp_micros);
    Ok(Place { at: at.ok_or_else(page::refused)?, id: id.parse().map_err(|_| page::refused())? })
}

/// A verification under way.
struct Verification {
    app: App,
    left: VecDeque<String>,
    entry: Entry,
    tenants: usize,
    rows: i64,
    broken: Vec<String>,
    _one_at_a_time: OwnedSemaphorePermit,
}

impl Verification {
    async fn next(mut self) -> Result<Option<(Report, Self)>> {
        let Some(tenant) = self.left.pop_front() else {
            self.entry.details = json!({
                "tenants": self.tenants, "rows": self.rows, "broken": self.broken
            });
            // What was found is told even if the trail is too damaged to go on.
            if let Err(error) = audit_log::append(&self.app.db, self.entry).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "a verification of the audit trail was not recorded");
            }
            return Ok(None);
        };
        let report = yuantus_audit::verify(self.app.signing(), &tenant).await?;
        self.tenants += 1;
        self.rows += report.rows;
        if let Some(broken) = &report.broken {
            let (seq, what) = (broken.seq, broken.what.as_str());
            tracing::error!(tenant_id = tenant, seq, what, "the audit trail of a tenant is broken");
            if self.broken.len() < 100 {
                self.broken.push(tenant);
            }
        }
        Ok(Some((report, self)))
    }
}
