//! Audit entries of the running request.

use sea_orm::ConnectionTrait;
use serde_json::Value;
use yuantus_auth::caller;
use yuantus_domain::Result;
use yuantus_identity::query::audit_log::{self, Entry};

/// Writes that the caller (without a request: whoever is at the console) did `action` to `target`, in the transaction of the
/// change.
pub(super) async fn record(
    txn: &impl ConnectionTrait,
    action: &'static str,
    tenant: &str,
    org: &str,
    target: String,
    details: Value,
) -> Result<()> {
    let caller = caller::current();
    let principal = caller.as_ref().and_then(|caller| caller.principal.clone());
    let entry = Entry {
        tenant: tenant.to_owned(),
        org: org.to_owned(),
        actor: match (&principal, &caller) {
            (Some(principal), _) => principal.display_name(),
            (None, Some(_)) => "nobody".into(),
            (None, None) => "console".into(),
        },
        user_id: principal.map(|p| p.user_id).filter(|id| *id > 0),
        action,
        target,
        request_id: caller.as_ref().map(|c| c.request_id.clone()).unwrap_or_default(),
        client_ip: caller.as_ref().map(|c| c.client_ip.clone()).unwrap_or_default(),
        user_agent: caller.as_ref().map(|c| c.user_agent.clone()).unwrap_or_default(),
        details,
        request: None,
    };
    Ok(audit_log::append(txn, entry).await?)
}
