//! Platform administrators that nobody logs in to make: the first one, and who
//! breaks the glass.

use std::time::Duration;

use sea_orm::TransactionTrait;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;
use yuantus_auth::{Principal, Role, Tokens};
use yuantus_domain::{Email, Error, Result, Username, id::PLATFORM};
use yuantus_identity::{
    Context, Database,
    query::{
        session::{self, BREAK_GLASS, NewSession},
        user::{self, NewUser},
    },
};

use super::{App, audit, session::session_name};

/// The longest that a session of the console lasts.
pub const LONGEST: Duration = Duration::from_hours(4);

/// The longest reason, in characters.
const REASON: usize = 500;

impl App {
    /// Whether there is, or ever was, a platform administrator.
    pub async fn has_owner(&self) -> Result<bool> {
        Ok(user::any_with_role(&self.db, PLATFORM, Role::PlatformAdmin.as_str()).await?)
    }

    /// Makes the first platform administrator where there has never been one:
    /// called as the address is before its `@`, or `owner` where that is no
    /// name. Answers whether it was made.
    pub async fn ensure_first_owner(&self, email: &Email, password: &SecretString) -> Result<bool> {
        if self.has_owner().await? {
            return Ok(false);
        }
        let local = email.as_str().split('@').next().unwrap_or_default().to_lowercase();
        let username = Username::parse("username", &local)
            .or_else(|_| Username::parse("username", "owner"))?;
        self.settings.password_policy.check("first_owner_password", username.as_str(), password)?;
        let password_hash = self.passwords.hash(password).await?;
        let txn = self.begin().await?;
        let roles = &[Role::PlatformAdmin.as_str()];
        let (username, email) = (&username, email.as_str());
        let new = NewUser { id: None, tenant: PLATFORM, username, email, password_hash, roles };
        match user::insert(&txn, new).await {
            // Another API was faster.
            Err(error) if error.is_unique_violation() => return Ok(false),
            other => other?,
        };
        let target = format!("users/{}", username.as_str());
        let details = json!({ "first": true });
        audit::record(&txn, "platform_admin.create", PLATFORM, "", target, details).await?;
        self.commit(txn).await?;
        Ok(true)
    }
}

/// Why something is done at the console, as the audit trail keeps it.
pub(super) fn console_reason(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    if !(8..=REASON).contains(&reason.chars().count()) {
        return Err(Error::invalid("reason", "must have 8 to 500 characters"));
    }
    Ok(reason)
}

/// Opens a session of a platform administrator at the server's console, for
/// `good_for`, and records why. Answers it and its token, which nothing renews.
pub async fn break_glass(
    db: &Database,
    tokens: &Tokens,
    reason: &str,
    good_for: Duration,
) -> Result<(Uuid, SecretString)> {
    let reason = console_reason(reason)?;
    if good_for < Duration::from_mins(1) || good_for > LONGEST {
        return Err(Error::invalid("minutes", "must be 1 to 240"));
    }
    let id = Uuid::now_v7();
    let principal = Principal::break_glass(id);
    let new = NewSession {
        id,
        kind: BREAK_GLASS,
        tenant: PLATFORM,
        user: None,
        org: None,
        client_ip: "",
        user_agent: "console",
        seconds: good_for.as_secs().cast_signed(),
    };
    super::clock::sync(db).await?;
    let txn = db.begin().await.during("begin")?;
    session::insert(&txn, new).await?;
    let details = json!({ "reason": reason, "seconds": good_for.as_secs() });
    audit::record(&txn, "break_glass", PLATFORM, "", session_name(id), details).await?;
    let (token, _) = tokens.sign(&principal, good_for)?;
    txn.commit().await.during("commit")?;
    Ok((id, token))
}

/// Ends a session that was opened at the console, from there.
pub async fn end_break_glass(db: &Database, id: Uuid) -> Result<()> {
    let txn = db.begin().await.during("begin")?;
    let found = session::by_id(&txn, id).await?.filter(|session| session.kind == BREAK_GLASS);
    found.ok_or_else(|| Error::not_found("break-glass session", id))?;
    session::revoke(&txn, id, "ended at the console").await?;
    audit::record(&txn, "session.revoke", PLATFORM, "", session_name(id), json!({})).await?;
    Ok(txn.commit().await.during("commit")?)
}
