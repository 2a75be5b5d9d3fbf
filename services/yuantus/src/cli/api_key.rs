//! `yuantus apikey`.

use clap::Subcommand;
use yuantus_domain::TenantId;
use yuantus_proto::v1::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, ListApiKeysRequest, RevokeApiKeyRequest,
};

use crate::{
    cli::{Session, arguments::tenant_id, time::time},
    failure::Failure,
    output::{Show, note},
    paging::Paging,
};

/// The most days that fit a request.
const MOST_DAYS: i64 = 24_000;

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key and show its secret, once
    Create {
        /// The tenant it is for; `platform` to administer the platform
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        /// A name that no other key of the tenant has
        name: String,
        /// What it may do: member, tenant_admin, platform_admin
        #[arg(long, default_value = "member")]
        role: String,
        /// The only org it is to be good for
        #[arg(long, value_name = "ORG", default_value = "", hide_default_value = true)]
        org: String,
        /// Days after which it ends; never if not given
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MOST_DAYS))]
        days: Option<i64>,
    },
    /// Show a tenant's keys
    List {
        /// The tenant's id
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        #[command(flatten)]
        paging: Paging,
    },
    /// End a key for good
    Revoke {
        /// The tenant's id
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        /// The key's id
        key: String,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut keys = session.client.api_keys();
        match self {
            Self::Create { tenant, name, role, org, days } => {
                let seconds = days.unwrap_or_default().saturating_mul(86_400);
                let request = CreateApiKeyRequest {
                    tenant_id: tenant.into(),
                    name,
                    role,
                    org_id: org,
                    ttl_seconds: i32::try_from(seconds).unwrap_or(i32::MAX),
                };
                let made = session.answer(keys.create_api_key(request).await)?;
                session.output.one(&made)?;
                note("the secret is not shown again: keep it now");
                Ok(())
            }
            Self::List { tenant, paging } => {
                let fetch = async |page_size, page_token| {
                    let tenant_id = tenant.to_string();
                    let request = ListApiKeysRequest { tenant_id, page_size, page_token };
                    let page = keys.list_api_keys(request).await?.into_inner();
                    Ok((page.items, page.next_page_token))
                };
                let all = paging.collect(fetch).await;
                session.output.list(&all.map_err(|status| session.client.refused(status))?)
            }
            Self::Revoke { tenant, key } => {
                let tenant_id = tenant.to_string();
                let request = RevokeApiKeyRequest { tenant_id, api_key_id: key.clone() };
                session.answer(keys.revoke_api_key(request).await)?;
                note(&format!("key {key} of {tenant} is revoked"));
                Ok(())
            }
        }
    }
}

impl Show for ApiKey {
    const COLUMNS: &'static [&'static str] =
        &["ID", "TENANT", "ORG", "NAME", "PREFIX", "ROLE", "ENDS", "LAST USED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.tenant_id.clone(),
            self.org_id.clone(),
            self.name.clone(),
            self.prefix.clone(),
            self.role.clone(),
            time(self.expires_at.as_ref()),
            time(self.last_used_at.as_ref()),
        ]
    }

    fn name(&self) -> String {
        self.id.clone()
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![("BY", self.created_by.clone()), ("CREATED", time(self.created_at.as_ref()))]
    }
}

impl Show for CreateApiKeyResponse {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "ROLE", "SECRET"];

    fn cells(&self) -> Vec<String> {
        let key = self.api_key.clone().unwrap_or_default();
        vec![key.id, key.name, key.role, self.secret.clone()]
    }

    fn name(&self) -> String {
        self.secret.clone()
    }
}
