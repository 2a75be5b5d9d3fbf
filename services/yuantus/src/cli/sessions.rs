//! `yuantus session`.

use clap::Subcommand;
use yuantus_domain::TenantId;
use yuantus_proto::v1::{
    ListSessionsRequest, ListUserSessionsRequest, RevokeSessionRequest, RevokeUserSessionsRequest,
    Session as Shown,
};

use crate::{
    cli::{Session, arguments::tenant_id, time::time},
    failure::Failure,
    output::{Show, note},
    paging::Paging,
};

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show your own sessions, or those of a user of a tenant you administer
    List {
        /// The user's tenant
        #[arg(value_parser = tenant_id, requires = "user")]
        tenant: Option<TenantId>,
        /// The user's id
        user: Option<i32>,
        #[command(flatten)]
        paging: Paging,
    },
    /// End one of your own sessions
    Revoke {
        /// The session's id
        session: String,
    },
    /// End the sessions of a user of a tenant you administer
    RevokeUser {
        /// The user's tenant
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        /// The user's id
        user: i32,
        /// The session's id; all if not given
        session: Option<String>,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut sessions = session.client.sessions();
        match self {
            Self::List { tenant, user, paging } => {
                let fetch = async |page_size, page_token| {
                    let page = match (&tenant, user) {
                        (Some(tenant), Some(user_id)) => {
                            let tenant_id = tenant.to_string();
                            let request = ListUserSessionsRequest {
                                tenant_id,
                                user_id,
                                page_size,
                                page_token,
                            };
                            sessions.list_user_sessions(request).await?
                        }
                        _ => {
                            let request = ListSessionsRequest { page_size, page_token };
                            sessions.list_sessions(request).await?
                        }
                    };
                    let page = page.into_inner();
                    Ok((page.items, page.next_page_token))
                };
                let all = paging.collect(fetch).await;
                session.output.list(&all.map_err(|status| session.client.refused(status))?)
            }
            Self::Revoke { session: session_id } => {
                let request = RevokeSessionRequest { session_id: session_id.clone() };
                session.answer(sessions.revoke_session(request).await)?;
                note(&format!("session {session_id} is over"));
                Ok(())
            }
            Self::RevokeUser { tenant, user: user_id, session: one } => {
                let request = RevokeUserSessionsRequest {
                    tenant_id: tenant.to_string(),
                    user_id,
                    session_id: one.unwrap_or_default(),
                };
                let answer = session.answer(sessions.revoke_user_sessions(request).await)?;
                note(&format!("{} sessions of user {user_id} of {tenant} are over", answer.ended));
                Ok(())
            }
        }
    }
}

impl Show for Shown {
    const COLUMNS: &'static [&'static str] =
        &["ID", "ORG", "FROM", "OPENED", "LAST USED", "ENDS", "CURRENT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.org_id.clone(),
            self.client_ip.clone(),
            time(self.created_at.as_ref()),
            time(self.last_used_at.as_ref()),
            time(self.expires_at.as_ref()),
            if self.is_current { "yes" } else { "no" }.to_owned(),
        ]
    }

    fn name(&self) -> String {
        self.id.clone()
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TENANT", self.tenant_id.clone()),
            ("USER", self.user_id.to_string()),
            ("PROGRAM", self.user_agent.clone()),
        ]
    }
}
