//! `yuantus audit`: the audit trail.

use clap::{Args, Subcommand};
use yuantus_domain::TenantId;
use yuantus_proto::v1::{
    AuditLog, AuditVerification, ExportAuditLogsRequest, ListAuditLogsRequest, PruneAuditRequest,
    PruneAuditResponse, VerifyAuditRequest,
};

use crate::{
    cli::{
        Session,
        arguments::{Scope, scope, tenant_id},
        time::time,
    },
    failure::Failure,
    output::{Format, Show, note, text},
    paging::Paging,
};

/// What can be done with the audit trail.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show entries, newest first
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        paging: Paging,
    },
    /// Write entries, oldest first, one JSON document on each line
    Export {
        #[command(flatten)]
        filter: Filter,
    },
    /// Recompute every hash; exit with 1 if anything was changed, deleted,
    /// inserted or moved
    Verify {
        /// Only this tenant's trail, or `platform`'s; all if not given
        #[arg(long, value_parser = tenant_id)]
        tenant: Option<TenantId>,
    },
    /// Delete now what the server's configuration no longer keeps
    Prune {
        /// Only this tenant's trail, or `platform`'s; all if not given
        #[arg(long, value_parser = tenant_id)]
        tenant: Option<TenantId>,
    },
}

/// Which entries.
#[derive(Args, Clone, Debug)]
pub(crate) struct Filter {
    /// Only this tenant's, or this org's
    #[arg(value_name = "TENANT[/ORG]", value_parser = scope)]
    scope: Option<Scope>,
    /// Only this action's, such as org.create, or those of a noun or a verb
    #[arg(long, default_value = "", hide_default_value = true)]
    action: String,
    /// Only actions on this kind of thing, such as org or backup
    #[arg(long, value_name = "NOUN", default_value = "", hide_default_value = true)]
    resource_type: String,
    /// Only those whose target begins so, such as tenants/acme/orgs/hq
    #[arg(long, default_value = "", hide_default_value = true)]
    target: String,
    /// Only this user's
    #[arg(long, value_name = "ID", default_value_t = 0, hide_default_value = true)]
    user_id: i32,
    /// Only requests of this HTTP method
    #[arg(long, default_value = "", hide_default_value = true)]
    method: String,
    /// Only requests of exactly this path
    #[arg(long, default_value = "", hide_default_value = true)]
    path: String,
    /// Only requests that were answered with this HTTP status
    #[arg(long, value_name = "CODE", default_value_t = 0, hide_default_value = true)]
    status: i32,
    /// Only from this time on, such as 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true)]
    since: String,
    /// Only before this time
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true)]
    until: String,
}

impl Filter {
    fn export(self) -> ExportAuditLogsRequest {
        let scope = self.scope.unwrap_or(Scope { tenant: String::new(), org: String::new() });
        ExportAuditLogsRequest {
            tenant_id: scope.tenant,
            org_id: scope.org,
            action: self.action,
            resource_type: self.resource_type,
            target: self.target,
            user_id: self.user_id,
            method: self.method,
            path: self.path,
            status_code: self.status,
            since: self.since,
            until: self.until,
        }
    }

    fn list(self) -> ListAuditLogsRequest {
        let same = self.export();
        ListAuditLogsRequest {
            tenant_id: same.tenant_id,
            org_id: same.org_id,
            action: same.action,
            resource_type: same.resource_type,
            target: same.target,
            user_id: same.user_id,
            method: same.method,
            path: same.path,
            status_code: same.status_code,
            since: same.since,
            until: same.until,
            ..ListAuditLogsRequest::default()
        }
    }
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List { filter, paging } => list(session, filter.list(), paging).await,
            Self::Export { filter } => export(session, filter.export()).await,
            Self::Verify { tenant } => verify(session, tenant).await,
            Self::Prune { tenant } => {
                let tenant_id = tenant.map(String::from).unwrap_or_default();
                let request = PruneAuditRequest { tenant_id };
                let pruned = session.client.audit().prune_audit(request).await;
                session.output.one(&session.answer(pruned)?)
            }
        }
    }
}

async fn list(
    session: &Session,
    wanted: ListAuditLogsRequest,
    paging: Paging,
) -> Result<(), Failure> {
    let mut audit = session.client.audit();
    let fetch = async |page_size, page_token| {
        let request = ListAuditLogsRequest { page_size, page_token, ..wanted.clone() };
        let page = audit.list_audit_logs(request).await?.into_inner();
        Ok((page.audit_logs, page.next_page_token))
    };
    let all = paging.collect(fetch).await;
    session.output.list(&all.map_err(|status| session.client.refused(status))?)
}

async fn export(session: &Session, wanted: ExportAuditLogsRequest) -> Result<(), Failure> {
    let refused = |status| session.client.refused(status);
    let mut entries = session.answer(session.client.audit().export_audit_logs(wanted).await)?;
    while let Some(entry) = entries.message().await.map_err(refused)? {
        let line = serde_json::to_string(&entry);
        text(&(line.map_err(|error| Failure::local("write JSON", error))? + "\n"))?;
    }
    Ok(())
}

async fn verify(session: &Session, tenant: Option<TenantId>) -> Result<(), Failure> {
    let refused = |status| session.client.refused(status);
    let request = VerifyAuditRequest { tenant_id: tenant.map(String::from).unwrap_or_default() };
    let mut found = session.answer(session.client.audit().verify_audit(request).await)?;
    let (mut all, mut broken, mut rows) = (0, 0, 0);
    while let Some(one) = found.message().await.map_err(refused)? {
        session.output.next(&one)?;
        all += 1;
        rows += one.rows;
        broken += usize::from(!one.ok);
    }
    if broken > 0 {
        let message = format!("{broken} of {all} trails are not as they were written");
        return Err(Failure::local("verify the audit trail", message));
    }
    if session.output.format() == Format::Table {
        note(&format!("{rows} entries in {all} trails are as they were written"));
    }
    Ok(())
}

impl Show for AuditLog {
    const COLUMNS: &'static [&'static str] =
        &["CREATED", "TENANT", "ACTOR", "ACTION", "TARGET", "STATUS", "CLIENT"];

    fn cells(&self) -> Vec<String> {
        vec![
            time(self.created_at.as_ref()),
            self.tenant_id.clone(),
            self.actor.clone(),
            self.action.clone(),
            self.target.clone(),
            if self.status_code > 0 { self.status_code.to_string() } else { String::new() },
            self.client_ip.clone(),
        ]
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

impl Show for AuditVerification {
    const COLUMNS: &'static [&'static str] =
        &["TENANT", "RESULT", "ROWS", "FROM", "TO", "SIGNED", "WHAT"];

    fn cells(&self) -> Vec<String> {
        let result = match self.ok {
            true => "ok".to_owned(),
            false => format!("BROKEN at {}", self.broken_seq),
        };
        vec![
            self.tenant_id.clone(),
            result,
            self.rows.to_string(),
            self.first_seq.to_string(),
            self.last_seq.to_string(),
            self.checkpoint_seq.to_string(),
            self.message.clone(),
        ]
    }

    fn name(&self) -> String {
        self.tenant_id.clone()
    }
}

impl Show for PruneAuditResponse {
    const COLUMNS: &'static [&'static str] = &["DELETED", "TENANT", "DAYS", "ROWS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.deleted.to_string(),
            self.tenant_id.clone(),
            self.retention_days.to_string(),
            self.retention_max_rows.to_string(),
        ]
    }

    fn name(&self) -> String {
        self.deleted.to_string()
    }
}

#[cfg(test)]
mod tests {
    use crate::output::snapshot::formats;

    use super::*;

    #[test]
    fn verifications_in_every_format() {
        let whole = AuditVerification {
            tenant_id: "acme".into(),
            ok: true,
            rows: 12,
            first_seq: 1,
            last_seq: 12,
            checkpoint_seq: 10,
            ..AuditVerification::default()
        };
        let broken = AuditVerification {
            tenant_id: "other".into(),
            ok: false,
            broken_seq: 4,
            message: "the row is missing".into(),
            ..whole.clone()
        };
        insta::assert_snapshot!(formats(&[whole, broken]));
    }
}
