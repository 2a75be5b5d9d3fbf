//! `yuantus migrate`.

use clap::Subcommand;
use futures::{StreamExt, stream};
use yuantus_domain::{OrgKey, TenantId};
use yuantus_proto::v1::{
    ApplyMigrationsRequest, GetMigrationStatusRequest, ListMigrationStatusesRequest,
    MigrationStatus, Operation,
};

use crate::{
    cli::{
        Session,
        arguments::{Scope, org_key, scope, tenant_id},
    },
    failure::Failure,
    output::{Show, note},
    paging::Paging,
    wait::{Waiting, succeeded, watch},
};

/// How many databases `--all` works on at a time.
const PARALLEL: usize = 16;

/// What can be done with schemas.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show where databases are
    Status {
        /// Only this tenant's, or this org's
        #[arg(value_name = "TENANT[/ORG]", value_parser = scope)]
        scope: Option<Scope>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Bring databases to the bundle's newest migration
    Apply {
        /// The org
        #[arg(value_name = "TENANT/ORG", value_parser = org_key, required_unless_present = "all",
              conflicts_with = "all")]
        org: Option<OrgKey>,
        /// Every database that lacks a migration
        #[arg(long)]
        all: bool,
        /// With --all: only this tenant's
        #[arg(long, requires = "all", value_parser = tenant_id)]
        tenant: Option<TenantId>,
        #[command(flatten)]
        waiting: Waiting,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Status { scope: Some(Scope { tenant, org }), .. } if !org.is_empty() => {
                session.output.one(&status(session, tenant, org).await?)
            }
            Self::Status { scope, paging } => {
                let tenant = scope.map(|scope| scope.tenant).unwrap_or_default();
                session.output.list(&statuses(session, tenant, paging).await?)
            }
            Self::Apply { org: Some(org), waiting, .. } => {
                let (tenant, org) = (String::from(org.tenant), String::from(org.org));
                let operation = apply(session, &tenant, &org, session.request_id()).await?;
                session
                    .finish(operation, waiting, async |_| status(session, tenant, org).await)
                    .await
            }
            Self::Apply { tenant, waiting, .. } => {
                let tenant = tenant.map(String::from).unwrap_or_default();
                apply_all(session, tenant, waiting).await
            }
        }
    }
}

async fn status(
    session: &Session,
    tenant_id: String,
    org_id: String,
) -> Result<MigrationStatus, Failure> {
    let request = GetMigrationStatusRequest { tenant_id, org_id };
    session.answer(session.client.migrations().get_migration_status(request).await)
}

async fn statuses(
    session: &Session,
    tenant: String,
    paging: Paging,
) -> Result<Vec<MigrationStatus>, Failure> {
    let mut migrations = session.client.migrations();
    let fetch = async |page_size, page_token| {
        let request =
            ListMigrationStatusesRequest { tenant_id: tenant.clone(), page_size, page_token };
        let page = migrations.list_migration_statuses(request).await?.into_inner();
        Ok((page.statuses, page.next_page_token))
    };
    paging.collect(fetch).await.map_err(|status| session.client.refused(status))
}

async fn apply(
    session: &Session,
    tenant: &str,
    org: &str,
    request_id: String,
) -> Result<Operation, Failure> {
    let request =
        ApplyMigrationsRequest { tenant_id: tenant.to_owned(), org_id: org.to_owned(), request_id };
    session.answer(session.client.migrations().apply_migrations(request).await)
}

/// Starts an operation for each database that is behind. One that fails does
/// not stop the others; they are told one by one and counted at the end.
async fn apply_all(session: &Session, tenant: String, waiting: Waiting) -> Result<(), Failure> {
    let behind: Vec<MigrationStatus> = statuses(session, tenant, Paging::ALL)
        .await?
        .into_iter()
        .filter(|status| !status.up_to_date)
        .collect();
    let total = behind.len();
    let results = stream::iter(behind)
        .map(|behind| async move {
            let result = apply_one(session, &behind, waiting).await;
            if let Err(failure) = &result {
                note(&format!("{}: {}", Show::name(&behind), failure.to_string().trim_end()));
            }
            result
        })
        .buffer_unordered(PARALLEL)
        .collect::<Vec<_>>()
        .await;
    let done: Vec<Operation> = results.into_iter().filter_map(Result::ok).collect();
    let failed = total - done.len();
    session.output.list(&done)?;
    note(&format!(
        "{} of {total} databases {}",
        done.len(),
        if waiting.wait { "migrated" } else { "started" }
    ));
    match failed {
        0 => Ok(()),
        _ if failed == total => Err(Failure::local("migrate databases", "all of them failed")),
        _ => Err(Failure::Partial { failed, total }),
    }
}

async fn apply_one(
    session: &Session,
    behind: &MigrationStatus,
    waiting: Waiting,
) -> Result<Operation, Failure> {
    let request_id = session.request_id_for(&Show::name(behind));
    let operation = apply(session, &behind.tenant_id, &behind.org_id, request_id).await?;
    if !waiting.wait {
        return Ok(operation);
    }
    let id = operation.id.clone();
    let mut nobody = |_: &Operation| Ok(());
    let watching = watch(&session.client, operation, &mut nobody);
    let ended = match waiting.timeout {
        None => watching.await,
        Some(seconds) => {
            tokio::time::timeout(std::time::Duration::from_secs(seconds.into()), watching)
                .await
                .map_err(|_| Failure::Timeout { operation: id })?
        }
    };
    succeeded(ended?)
}

impl Show for MigrationStatus {
    const COLUMNS: &'static [&'static str] = &["ORG", "REVISION", "TARGET", "PENDING", "CURRENT"];

    fn cells(&self) -> Vec<String> {
        vec![
            Show::name(self),
            self.revision.to_string(),
            self.target_revision.to_string(),
            self.pending.len().to_string(),
            if self.up_to_date { "yes" } else { "no" }.to_owned(),
        ]
    }

    fn name(&self) -> String {
        format!("{}/{}", self.tenant_id, self.org_id)
    }
}

#[cfg(test)]
mod tests {
    use crate::output::snapshot::formats;

    use super::*;

    #[test]
    fn statuses_in_every_format() {
        let status = MigrationStatus {
            tenant_id: "tenant-1".into(),
            org_id: "org-1".into(),
            revision: 1,
            target_revision: 3,
            pending: vec![2, 3],
            up_to_date: false,
        };
        insta::assert_snapshot!(formats(&[status]));
    }
}
