//! `yuantus org`.

use clap::Subcommand;
use secrecy::SecretString;
use yuantus_domain::{OrgKey, TenantId};
use yuantus_postgres::{Tools, psql};
use yuantus_proto::v1::{
    CreateOrgRequest, GetConnectionRequest, GetOrgRequest, ListOrgsRequest, Org, org::Status,
};

use crate::{
    cli::{
        Session,
        arguments::{org_key, tenant_id},
        time::time,
    },
    failure::Failure,
    output::Show,
    paging::Paging,
    wait::Waiting,
};

/// What can be done with orgs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Record an org and make its database
    Create {
        /// The tenant and the new org's id
        #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
        org: OrgKey,
        /// The name people read; the id if not given
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Show a tenant's orgs
    List {
        /// The tenant's id
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one org
    Get {
        /// The org
        #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
        org: OrgKey,
    },
    /// Open psql on an org's database; ends with psql's own exit code
    Connect {
        /// The org
        #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
        org: OrgKey,
        /// Arguments for psql
        #[arg(last = true, value_name = "ARGUMENT")]
        arguments: Vec<String>,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut orgs = session.client.orgs();
        match self {
            Self::Create { org, name, waiting } => {
                let request = CreateOrgRequest {
                    tenant_id: org.tenant.to_string(),
                    id: org.org.to_string(),
                    name,
                    request_id: session.request_id(),
                };
                let operation = session.answer(orgs.create_org(request).await)?;
                session.finish(operation, waiting, async |_| get(session, &org).await).await
            }
            Self::List { tenant, paging } => {
                let fetch = async |page_size, page_token| {
                    let tenant_id = tenant.to_string();
                    let request = ListOrgsRequest { tenant_id, page_size, page_token };
                    let page = orgs.list_orgs(request).await?.into_inner();
                    Ok((page.orgs, page.next_page_token))
                };
                let all = paging.collect(fetch).await;
                session.output.list(&all.map_err(|status| session.client.refused(status))?)
            }
            Self::Get { org } => session.output.one(&get(session, &org).await?),
            Self::Connect { org, arguments } => connect(session, &org, &arguments).await,
        }
    }
}

/// Reads one org.
pub(crate) async fn get(session: &Session, org: &OrgKey) -> Result<Org, Failure> {
    let (tenant_id, org_id) = (org.tenant.to_string(), org.org.to_string());
    let request = GetOrgRequest { tenant_id, org_id };
    session.answer(session.client.orgs().get_org(request).await)
}

/// Becomes psql; answers only where that fails.
async fn connect(session: &Session, org: &OrgKey, arguments: &[String]) -> Result<(), Failure> {
    let (tenant_id, org_id) = (org.tenant.to_string(), org.org.to_string());
    let request = GetConnectionRequest { tenant_id, org_id };
    let connection = session.answer(session.client.orgs().get_connection(request).await)?;
    let url = SecretString::from(connection.url);
    match psql::exec(&Tools::find(), &url, arguments) {
        Err(error) => Err(Failure::local("open psql", error)),
    }
}

impl Show for Org {
    const COLUMNS: &'static [&'static str] =
        &["ORG", "NAME", "STATUS", "REVISION", "DATABASE", "CREATED"];

    fn cells(&self) -> Vec<String> {
        vec![
            Show::name(self),
            self.name.clone(),
            Status::try_from(self.status).unwrap_or_default().as_str_name().to_owned(),
            self.revision.to_string(),
            self.database.clone(),
            time(self.created_at.as_ref()),
        ]
    }

    fn name(&self) -> String {
        format!("{}/{}", self.tenant_id, self.id)
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![("UPDATED", time(self.updated_at.as_ref())), ("REASON", self.reason.clone())]
    }
}

#[cfg(test)]
mod tests {
    use crate::output::snapshot::formats;

    use super::*;

    #[test]
    fn orgs_in_every_format() {
        let org = Org {
            tenant_id: "tenant-1".into(),
            id: "org-1".into(),
            name: "Head office".into(),
            status: Status::Failed.into(),
            reason: "the server is full".into(),
            database: "yuantus_mt_pg__tenant-1__org-1".into(),
            revision: 3,
            created_at: Some(pbjson_types::Timestamp { seconds: 1_760_000_000, nanos: 0 }),
            updated_at: None,
            is_active: false,
        };
        insta::assert_snapshot!(formats(&[org]));
    }
}
