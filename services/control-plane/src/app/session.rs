//! Sessions: opened by a login, kept alive by refresh tokens, ended by whoever
//! may.
//!
//! Invariant: a refresh token is good once. One that comes again may have been
//! stolen, so it ends its session.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;
use yuantus_auth::{Kind, Principal, caller, opaque};
use yuantus_domain::{Error, OrgId, PageSize, Result, TenantId, id::PLATFORM};
use yuantus_identity::{
    entity::{session::Model, user::Model as User},
    for_tenant,
    query::{
        session::{self, NewSession, Refresh, USER},
        user,
    },
};

use super::{
    App, Page, audit,
    auth::{Login, may_enter, principal},
    page,
};

/// What is said to who comes with a session that is over.
pub(super) const ENDED: Error = Error::Unauthenticated { message: "the session has ended" };

const NOT_VALID: Error = Error::Unauthenticated { message: "the refresh token is not valid" };

/// How the API names a session.
pub(super) fn session_name(id: Uuid) -> String {
    format!("sessions/{id}")
}

impl App {
    /// Opens a session of somebody who has just shown who it is. Answers its
    /// first tokens.
    pub(super) async fn open_session(
        &self,
        txn: &impl ConnectionTrait,
        mut principal: Principal,
    ) -> Result<Login> {
        let life = self.settings.session_life;
        let (id, seconds) = (Uuid::now_v7(), life.idle.min(life.whole));
        let caller = caller::current();
        let new = NewSession {
            id,
            kind: USER,
            tenant: &principal.tenant,
            user: Some(principal.user_id),
            org: principal.org.as_ref().map(OrgId::as_str),
            client_ip: caller.as_ref().map_or("", |caller| &caller.client_ip),
            user_agent: caller.as_ref().map_or("", |caller| cut(&caller.user_agent)),
            seconds,
        };
        session::insert(txn, new).await?;
        principal.session = Some(id);
        self.tokens_of(txn, principal, id, seconds).await
    }

    /// A token of a session that is good for `seconds`, and its next refresh
    /// token.
    async fn tokens_of(
        &self,
        txn: &impl ConnectionTrait,
        principal: Principal,
        id: Uuid,
        seconds: i64,
    ) -> Result<Login> {
        let refresh = opaque::generate(opaque::REFRESH_TOKEN)?;
        session::insert_refresh_token(txn, id, opaque::hash(refresh.expose_secret()).to_vec())
            .await?;
        let at_most = Duration::from_secs(seconds.unsigned_abs());
        super::clock::ensure_known(&self.db).await?;
        let (token, good_for) = self.tokens.issue_for(&principal, at_most)?;
        Ok(Login { token, good_for, refresh: Some(refresh), principal })
    }

    /// Exchanges a refresh token for a token and the next refresh token.
    pub async fn refresh(&self, token: &SecretString) -> Result<Login> {
        let hash = opaque::hash(token.expose_secret());
        let txn = self.begin().await?;
        let Some(known) = session::of_refresh_token(&txn, &hash).await? else {
            self.record_refusal("session.refresh_fail", PLATFORM, "auth", json!({}), "unknown");
            return Err(NOT_VALID);
        };
        self.attempts.at_session(known.id)?;
        // The user before what is the user's, as whoever deletes one does.
        let user = match known.user_id {
            Some(id) => user::lock_by_id(&txn, id).await?.filter(|user| user.is_active),
            None => None,
        };
        let session = match session::use_refresh_token(&txn, &hash).await? {
            Refresh::Good(session) => session,
            Refresh::Reused(session) => {
                Self::end_reused(&txn, &session).await?;
                self.commit(txn).await?;
                return Err(NOT_VALID);
            }
            Refresh::Unknown => return Err(NOT_VALID),
        };
        let user = user.ok_or(NOT_VALID)?;
        let principal = Self::principal_of(&txn, &session, &user).await?;
        let org = principal.org.as_ref().map(OrgId::as_str);
        let life = self.settings.session_life;
        let Some(seconds) = session::extend(&txn, session.id, org, life).await? else {
            return Err(NOT_VALID);
        };
        let login = self.tokens_of(&txn, principal, session.id, seconds).await?;
        let target = session_name(session.id);
        audit::record_of(&txn, &login.principal, "session.refresh", target, json!({})).await?;
        self.commit(txn).await?;
        Ok(login)
    }

    async fn end_reused(txn: &impl ConnectionTrait, session: &Model) -> Result<()> {
        let ended = session::revoke(txn, session.id, "a refresh token was used twice").await?;
        let details = json!({ "user_id": session.user_id, "ended": ended });
        let tenant = &session.tenant_id;
        audit::record(txn, "session.reuse", tenant, "", session_name(session.id), details).await
    }

    /// The user of a session as who calls. The org is kept for as long as the
    /// user may work in it.
    async fn principal_of(
        txn: &impl ConnectionTrait,
        session: &Model,
        user: &User,
    ) -> Result<Principal> {
        let mut principal = principal(user)?;
        principal.session = Some(session.id);
        if let Some(org) = &session.org_id {
            let org = OrgId::parse("org_id", org)?;
            principal.org = may_enter(txn, &principal, &org).await?.then_some(org);
        }
        Ok(principal)
    }

    /// Ends the caller's own session.
    pub async fn logout(&self) -> Result<()> {
        let (principal, id) = own_session()?;
        let txn = self.begin().await?;
        if session::revoke(&txn, id, "logged out").await? {
            let (tenant, target) = (&principal.tenant, session_name(id));
            audit::record(&txn, "logout", tenant, "", target, json!({})).await?;
        }
        self.commit(txn).await
    }

    /// Reads a page of the caller's own sessions, newest first.
    pub async fn list_own_sessions(&self, size: PageSize, token: &str) -> Result<Page<Model>> {
        let principal = own()?;
        let tenant = TenantId::parse("tenant_id", &principal.tenant)?;
        self.sessions(&tenant, principal.user_id, size, page::cursor(token)?).await
    }

    /// Ends one of the caller's own sessions.
    pub async fn revoke_own_session(&self, id: Uuid) -> Result<()> {
        let principal = own()?;
        let tenant = TenantId::parse("tenant_id", &principal.tenant)?;
        let reason = format!("ended by {}", principal.display_name());
        self.revoke_one(&tenant, principal.user_id, id, &reason).await
    }

    /// Reads a page of a user's sessions, newest first.
    pub async fn list_user_sessions(
        &self,
        tenant: &TenantId,
        user: i32,
        size: PageSize,
        token: &str,
    ) -> Result<Page<Model>> {
        let before = page::cursor(token)?;
        self.get_user(tenant, user).await?;
        self.sessions(tenant, user, size, before).await
    }

    /// Ends one session of a user, or all; answers how many.
    pub async fn revoke_user_sessions(
        &self,
        tenant: &TenantId,
        user: i32,
        one: Option<Uuid>,
    ) -> Result<u64> {
        let found = self.get_user(tenant, user).await?;
        let reason = format!("ended by {}", caller::principal()?.display_name());
        if let Some(id) = one {
            return self.revoke_one(tenant, user, id, &reason).await.map(|()| 1);
        }
        let txn = self.begin().await?;
        let ended = for_tenant(tenant).revoke_sessions(&txn, user, &reason).await?;
        let details = json!({ "username": found.username, "ended": ended });
        let target = super::user::user_name(tenant, user);
        audit::record(&txn, "session.revoke_all", tenant.as_str(), "", target, details).await?;
        self.commit(txn).await?;
        Ok(ended)
    }

    async fn sessions(
        &self,
        tenant: &TenantId,
        user: i32,
        size: PageSize,
        before: Option<Uuid>,
    ) -> Result<Page<Model>> {
        let rows = for_tenant(tenant).sessions(&self.db, user, before, page::limit(size)).await?;
        Ok(Page::of(rows, size, |session| session.id.to_string()))
    }

    async fn revoke_one(&self, tenant: &TenantId, user: i32, id: Uuid, reason: &str) -> Result<()> {
        let txn = self.begin().await?;
        if !for_tenant(tenant).revoke_session(&txn, user, id, reason).await? {
            return Err(Error::not_found("session", id));
        }
        let (target, details) = (session_name(id), json!({ "user_id": user }));
        audit::record(&txn, "session.revoke", tenant.as_str(), "", target, details).await?;
        self.commit(txn).await
    }
}

/// The caller, who must be a user: only those have sessions.
fn own() -> Result<Principal> {
    let principal = caller::principal()?;
    match principal.kind {
        Kind::User => Ok(principal),
        _ => Err(Error::denied("only users have sessions of their own")),
    }
}

/// The caller, and the session of its token.
pub(super) fn own_session() -> Result<(Principal, Uuid)> {
    let principal = caller::principal()?;
    match (principal.kind, principal.session) {
        (Kind::User | Kind::BreakGlass, Some(id)) => Ok((principal, id)),
        _ => Err(Error::precondition("NO_SESSION", "the caller's credential has no session")),
    }
}

/// The longest `User-Agent` that is kept.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(500)]
}

/// Whether `id` is the session of the running request.
pub fn is_current(id: Uuid) -> bool {
    caller::principal().is_ok_and(|p| p.kind != Kind::ApiKey && p.session == Some(id))
}

impl Login {
    /// The refresh token as it is sent; empty if there is none.
    pub fn refresh_token(&self) -> &str {
        self.refresh.as_ref().map_or("", |token| token.expose_secret())
    }
}
