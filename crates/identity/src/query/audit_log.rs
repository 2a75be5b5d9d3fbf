//! The audit trail. Rows are written in the transaction of the change they
//! tell of; nothing here changes or deletes one.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait};

use crate::{Context, Result, entity::audit_log::ActiveModel};

/// Something that happened.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The tenant it concerns, or `platform`.
    pub tenant: String,
    /// The org it concerns, or empty.
    pub org: String,
    /// Who did it: a user's name with its tenant, or a worker.
    pub actor: String,
    /// The user's id.
    pub user_id: Option<i32>,
    /// What was done, such as `org.create`.
    pub action: &'static str,
    /// What it was done to, such as `tenants/acme/orgs/hq`.
    pub target: String,
    /// The request it was done in.
    pub request_id: String,
    /// Where the request came from.
    pub client_ip: String,
    /// What sent it.
    pub user_agent: String,
    /// Facts of the action; never a secret.
    pub details: serde_json::Value,
}

/// Writes one entry.
pub async fn append(db: &impl ConnectionTrait, entry: Entry) -> Result<()> {
    let details = match entry.details {
        serde_json::Value::Null => serde_json::json!({}),
        details => details,
    };
    ActiveModel {
        tenant_id: Set(entry.tenant),
        org_id: Set(entry.org),
        actor: Set(entry.actor),
        user_id: Set(entry.user_id),
        action: Set(entry.action.into()),
        target: Set(entry.target),
        request_id: Set(entry.request_id),
        client_ip: Set(entry.client_ip),
        user_agent: Set(entry.user_agent),
        details: Set(details),
        ..Default::default()
    }
    .insert(db)
    .await
    .during("append audit log")
    .map(drop)
}
