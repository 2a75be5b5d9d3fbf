//! `yuantus tenant`.

use clap::Subcommand;
use yuantus_domain::TenantId;
use yuantus_proto::v1::{
    CreateTenantRequest, GetTenantRequest, ListTenantsRequest, Tenant, tenant::Status,
};

use crate::{
    cli::{Session, arguments::tenant_id, login::read_new_password, time::time},
    failure::Failure,
    output::Show,
    paging::Paging,
};

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Record a tenant
    Create {
        /// The new tenant's id
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        /// The name people read; the id if not given
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// basic, pro or enterprise
        #[arg(long, default_value = "basic")]
        plan: String,
        /// Make a first administrator of this name; its password is read from
        /// stdin
        #[arg(long, value_name = "USERNAME")]
        admin: Option<String>,
        /// The first administrator's address
        #[arg(
            long,
            value_name = "ADDRESS",
            requires = "admin",
            default_value = "",
            hide_default_value = true
        )]
        admin_email: String,
    },
    /// Show all tenants
    List(Paging),
    /// Show one tenant
    Get {
        /// The tenant's id
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut tenants = session.client.tenants();
        match self {
            Self::Create { tenant, name, plan, admin, admin_email } => {
                let admin_password = match &admin {
                    Some(username) => read_new_password(false, username)?,
                    None => String::new(),
                };
                let request = CreateTenantRequest {
                    id: tenant.into(),
                    name,
                    plan,
                    admin_username: admin.unwrap_or_default(),
                    admin_password,
                    admin_email,
                    request_id: session.request_id(),
                };
                session.output.one(&session.answer(tenants.create_tenant(request).await)?)
            }
            Self::List(paging) => {
                let fetch = async |page_size, page_token| {
                    let request = ListTenantsRequest { page_size, page_token, with_total: false };
                    let page = tenants.list_tenants(request).await?.into_inner();
                    Ok((page.tenants, page.next_page_token))
                };
                let all = paging.collect(fetch).await;
                session.output.list(&all.map_err(|status| session.client.refused(status))?)
            }
            Self::Get { tenant } => {
                let request = GetTenantRequest { tenant_id: tenant.into() };
                session.output.one(&session.answer(tenants.get_tenant(request).await)?)
            }
        }
    }
}

impl Show for Tenant {
    const COLUMNS: &'static [&'static str] = &["TENANT", "NAME", "STATUS", "PLAN", "CREATED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            Status::try_from(self.status).unwrap_or_default().as_str_name().to_owned(),
            self.plan.clone(),
            time(self.created_at.as_ref()),
        ]
    }

    fn name(&self) -> String {
        self.id.clone()
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![
            ("UPDATED", time(self.updated_at.as_ref())),
            ("SERVED", if self.is_active { "yes" } else { "no" }.to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::output::snapshot::formats;

    use super::*;

    #[test]
    fn tenants_in_every_format() {
        let created_at = Some(pbjson_types::Timestamp { seconds: 1_760_000_000, nanos: 0 });
        let tenant = |id: &str, status: Status| Tenant {
            id: id.into(),
            name: format!("{id} Inc."),
            status: status.into(),
            plan: "basic".into(),
            created_at,
            updated_at: None,
            is_active: true,
        };
        let tenants = [tenant("acme", Status::Active), tenant("tenant-1", Status::Failed)];
        insta::assert_snapshot!(formats(&tenants));
    }
}
