//! `AuditService`.

use std::{pin::Pin, str::FromStr};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use futures::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use yuantus_audit::{Report, Retention};
use yuantus_domain::{Error, OrgId, PageSize, Result, TenantId};
use yuantus_identity::{entity::audit_log::Model, query::audit_log::Filter};
use yuantus_proto::v1::{self, audit_service_server::AuditService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::App;

/// Serves the audit trail.
#[derive(Clone)]
pub struct Audits(pub App);

type Rows<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The filter that the requests of three RPCs have in common.
macro_rules! filter {
    ($request:expr) => {
        Wanted {
            tenant: &$request.tenant_id,
            org: &$request.org_id,
            action: &$request.action,
            resource_type: &$request.resource_type,
            target: &$request.target,
            user_id: $request.user_id,
            method: &$request.method,
            path: &$request.path,
            status_code: $request.status_code,
            since: &$request.since,
            until: &$request.until,
        }
        .parse()
        .map_err(status)
    };
}

struct Wanted<'a> {
    tenant: &'a str,
    org: &'a str,
    action: &'a str,
    resource_type: &'a str,
    target: &'a str,
    user_id: i32,
    method: &'a str,
    path: &'a str,
    status_code: i32,
    since: &'a str,
    until: &'a str,
}

impl Wanted<'_> {
    fn parse(self) -> Result<Filter> {
        let number = |field: &'static str, number: i32| match number {
            0 => Ok(None),
            1.. => Ok(Some(number)),
            _ => Err(Error::invalid(field, "must not be negative")),
        };
        Ok(Filter {
            tenant: some(self.tenant).map(|id| TenantId::parse("tenant_id", id)).transpose()?,
            org: some(self.org).map(|id| OrgId::parse("org_id", id)).transpose()?,
            action: text("action", self.action)?,
            resource_type: text("resource_type", self.resource_type)?,
            target: text("target", self.target)?,
            user_id: number("user_id", self.user_id)?,
            method: text("method", self.method)?.map(|method| method.to_ascii_uppercase()),
            path: text("path", self.path)?,
            status_code: number("status_code", self.status_code)?,
            since: some(self.since).map(|at| time("since", at)).transpose()?,
            until: some(self.until).map(|at| time("until", at)).transpose()?,
        })
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// A text to compare with: PostgreSQL holds no NUL.
fn text(field: &'static str, given: &str) -> Result<Option<String>> {
    if given.len() > 1024 || given.chars().any(char::is_control) {
        let rule = "must have at most 1024 bytes and no control characters";
        return Err(Error::invalid(field, rule));
    }
    Ok(some(given).map(str::to_owned))
}

fn time(field: &'static str, given: &str) -> Result<DateTime<Utc>> {
    let date = || {
        let date = NaiveDate::from_str(given).ok()?;
        Some(date.and_hms_opt(0, 0, 0)?.and_utc())
    };
    // A time without a zone, as many a program writes it, is of UTC.
    let plain = || Some(NaiveDateTime::from_str(given).ok()?.and_utc());
    let time = DateTime::parse_from_rfc3339(given).ok().map(|time| time.to_utc());
    // Beyond these years PostgreSQL's times and ours differ.
    let common = |time: &DateTime<Utc>| (0..=253_402_300_799).contains(&time.timestamp());
    time.or_else(plain).or_else(date).filter(common).ok_or_else(|| {
        Error::invalid(field, "must be a time such as 2026-01-31T12:00:00Z, or a date, since 1970")
    })
}

fn tenant(id: &str) -> Result<Option<TenantId>> {
    some(id).map(|id| TenantId::parse("tenant_id", id)).transpose()
}

fn offset(offset: i32) -> Result<usize> {
    match usize::try_from(offset) {
        Ok(offset @ 0..=100_000) => Ok(offset),
        _ => Err(Error::invalid("offset", "must be 0 to 100000")),
    }
}

fn limit(limit: i32) -> Result<PageSize> {
    PageSize::parse(limit).map_err(|_| Error::invalid("limit", "must be 1 to 1000"))
}

/// An entry as the API shows it.
fn audit_log(row: Model) -> v1::AuditLog {
    v1::AuditLog {
        id: row.id,
        created_at: convert::time(row.created_at),
        tenant_id: row.tenant_id,
        org_id: row.org_id,
        user_id: row.user_id.unwrap_or_default(),
        actor: row.actor,
        action: row.action,
        target: row.target,
        method: row.method,
        path: row.path,
        status_code: row.status_code.unwrap_or_default(),
        duration_ms: row.duration_ms.map_or(0, |ms| i32::try_from(ms).unwrap_or(i32::MAX)),
        client_ip: row.client_ip,
        user_agent: row.user_agent,
        request_id: row.request_id,
        error: row.error,
        details: Some(convert::structure(row.details)),
        seq: row.seq,
        hash: hex::encode(row.hash),
    }
}

fn verification(report: Report) -> v1::AuditVerification {
    let Report { tenant, rows, first_seq, last_seq, checkpoint_seq, broken } = report;
    v1::AuditVerification {
        tenant_id: tenant,
        ok: broken.is_none(),
        rows,
        first_seq,
        last_seq,
        checkpoint_seq,
        broken_seq: broken.as_ref().map_or(0, |broken| broken.seq),
        message: broken.map(|broken| broken.what).unwrap_or_default(),
    }
}

/// Days and rows as the API shows them: the configuration keeps them small.
fn shown(retention: Retention) -> (i32, i32) {
    let small = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    (small(retention.days), small(retention.max_rows))
}

#[tonic::async_trait]
impl AuditService for Audits {
    type ExportAuditLogsStream = Rows<v1::AuditLog>;
    type VerifyAuditStream = Rows<v1::AuditVerification>;

    async fn list_audit_logs(
        &self,
        request: Request<v1::ListAuditLogsRequest>,
    ) -> Answer<v1::ListAuditLogsResponse> {
        let request = request.into_inner();
        let filter = filter!(request)?;
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let page = self.0.list_audit_logs(filter, size, &request.page_token).await;
        let page = page.map_err(status)?.map(audit_log);
        Ok(Response::new(v1::ListAuditLogsResponse {
            audit_logs: page.items,
            next_page_token: page.next,
        }))
    }

    async fn test_audit(&self, _: Request<v1::TestAuditRequest>) -> Answer<v1::AuditLog> {
        let row = self.0.test_audit().await.map_err(status)?;
        Ok(Response::new(audit_log(row)))
    }

    async fn list_audit_items(
        &self,
        request: Request<v1::ListAuditItemsRequest>,
    ) -> Answer<v1::ListAuditItemsResponse> {
        let request = request.into_inner();
        let filter = filter!(request)?;
        let limit = limit(request.limit).map_err(status)?;
        let offset = offset(request.offset).map_err(status)?;
        let (rows, total) = self.0.list_audit_items(filter, limit, offset).await.map_err(status)?;
        Ok(Response::new(v1::ListAuditItemsResponse {
            items: rows.into_iter().map(audit_log).collect(),
            total: i32::try_from(total).unwrap_or(i32::MAX),
        }))
    }

    async fn export_audit_logs(
        &self,
        request: Request<v1::ExportAuditLogsRequest>,
    ) -> Answer<Self::ExportAuditLogsStream> {
        let filter = filter!(request.get_ref())?;
        let rows = self.0.export_audit_logs(filter).await.map_err(status)?;
        Ok(Response::new(Box::pin(rows.map(|row| row.map(audit_log).map_err(status)))))
    }

    async fn verify_audit(
        &self,
        request: Request<v1::VerifyAuditRequest>,
    ) -> Answer<Self::VerifyAuditStream> {
        let tenant = tenant(&request.get_ref().tenant_id).map_err(status)?;
        let reports = self.0.verify_audit(tenant).await.map_err(status)?;
        let shown = reports.map(|report| report.map(verification).map_err(status));
        Ok(Response::new(Box::pin(shown)))
    }

    async fn get_audit_retention(
        &self,
        request: Request<v1::GetAuditRetentionRequest>,
    ) -> Answer<v1::AuditRetention> {
        let tenant = tenant(&request.get_ref().tenant_id).map_err(status)?;
        let kept = self.0.audit_retention(tenant).await.map_err(status)?;
        let (retention_days, retention_max_rows) = shown(kept.retention);
        let seconds = kept.prune_interval.map_or(0, |interval| interval.as_secs());
        Ok(Response::new(v1::AuditRetention {
            tenant_id: kept.tenant.map(String::from).unwrap_or_default(),
            retention_days,
            retention_max_rows,
            prune_interval_seconds: i32::try_from(seconds).unwrap_or(i32::MAX),
            last_prune_ts: kept.last_prune.and_then(convert::time),
        }))
    }

    async fn prune_audit(
        &self,
        request: Request<v1::PruneAuditRequest>,
    ) -> Answer<v1::PruneAuditResponse> {
        let tenant = tenant(&request.get_ref().tenant_id).map_err(status)?;
        let (kept, deleted) = self.0.prune_audit(tenant).await.map_err(status)?;
        let (retention_days, retention_max_rows) = shown(kept.retention);
        Ok(Response::new(v1::PruneAuditResponse {
            tenant_id: kept.tenant.map(String::from).unwrap_or_default(),
            retention_days,
            retention_max_rows,
            deleted: i32::try_from(deleted).unwrap_or(i32::MAX),
        }))
    }
}
