//! `yuantus member`.

use clap::Subcommand;
use yuantus_domain::OrgKey;
use yuantus_proto::v1::{
    AddMemberRequest, ListMembersRequest, Member, RemoveMemberRequest, UpdateMemberRequest,
};

use crate::{
    cli::{Session, arguments::org_key, time::time},
    failure::Failure,
    output::{Show, note},
    paging::Paging,
};

/// What can be done with the members of orgs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a user of the tenant a member
    Add {
        /// The org
        #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
        org: OrgKey,
        /// The user's name
        username: String,
        /// Roles in the org, with commas between them
        #[arg(long, value_name = "ROLES", value_delimiter = ',', default_value = "member")]
        roles: Vec<String>,
    },
    /// Show an org's members
    List {
        /// The org
        #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
        org: OrgKey,
        #[command(flatten)]
        paging: Paging,
    },
    /// Change a membership
    Update {
        /// The org
        #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
        org: OrgKey,
        /// The user's id
        user: i32,
        /// The roles from now on, with commas between them
        #[arg(long, value_name = "ROLES", value_delimiter = ',')]
        roles: Vec<String>,
        /// Whether the member may work in the org
        #[arg(long, value_name = "true|false")]
        active: Option<bool>,
    },
    /// End a membership; the user stays
    Remove {
        /// The org
        #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
        org: OrgKey,
        /// The user's id
        user: i32,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut members = session.client.members();
        match self {
            Self::Add { org, username, roles } => {
                let request = AddMemberRequest {
                    tenant_id: org.tenant.to_string(),
                    org_id: org.org.to_string(),
                    user_id: 0,
                    username,
                    roles,
                    is_active: None,
                };
                session.output.one(&session.answer(members.add_member(request).await)?)
            }
            Self::List { org, paging } => {
                let fetch = async |page_size, page_token| {
                    let (tenant_id, org_id) = (org.tenant.to_string(), org.org.to_string());
                    let request = ListMembersRequest { tenant_id, org_id, page_size, page_token };
                    let page = members.list_members(request).await?.into_inner();
                    Ok((page.items, page.next_page_token))
                };
                let all = paging.collect(fetch).await;
                session.output.list(&all.map_err(|status| session.client.refused(status))?)
            }
            Self::Update { org, user, roles, active } => {
                let request = UpdateMemberRequest {
                    tenant_id: org.tenant.to_string(),
                    org_id: org.org.to_string(),
                    user_id: user,
                    roles,
                    is_active: active,
                };
                session.output.one(&session.answer(members.update_member(request).await)?)
            }
            Self::Remove { org, user } => {
                let (tenant_id, org_id) = (org.tenant.to_string(), org.org.to_string());
                let request = RemoveMemberRequest { tenant_id, org_id, user_id: user };
                session.answer(members.remove_member(request).await)?;
                note(&format!("user {user} is no member of {org} any more"));
                Ok(())
            }
        }
    }
}

impl Show for Member {
    const COLUMNS: &'static [&'static str] =
        &["ORG", "USER", "USERNAME", "EMAIL", "ROLES", "ACTIVE", "SINCE"];

    fn cells(&self) -> Vec<String> {
        vec![
            format!("{}/{}", self.tenant_id, self.org_id),
            self.user_id.to_string(),
            self.username.clone(),
            self.email.clone(),
            self.roles.join(","),
            if self.is_active { "yes" } else { "no" }.to_owned(),
            time(self.created_at.as_ref()),
        ]
    }

    fn name(&self) -> String {
        self.user_id.to_string()
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![("UPDATED", time(self.updated_at.as_ref()))]
    }
}
