//! The one authentication layer: who calls, for whom, and may they.
//!
//! Invariant: a caller that is handed to anybody may call the RPC, is still
//! who the token says, and is within a tenant and org that are known and, as
//! far as the RPC needs them, can be served.

use std::{borrow::Cow, sync::Arc};

use http::HeaderMap;
use yuantus_auth::{
    Caller, Kind, Permission, Principal, Tokens,
    caller::CALLER,
    opaque,
    permission::{Access, Scope},
    tenancy::{KeyHolder, OrgFacts, TenantFacts},
};
use yuantus_config::AuthMode;
use yuantus_domain::{Error, IdempotencyKey, OrgKey, Result, TenantId};

use crate::{
    access::AccessTable,
    context::{self, Context},
    credentials::Credentials,
    headers::{self, Credential},
    hosts::Hosts,
    memory::Memory,
    request::RequestFacts,
    settings::Bootstrap,
};

/// Admits callers.
pub struct Admission {
    access: AccessTable,
    mode: AuthMode,
    credentials: Credentials,
    bootstrap: Option<Bootstrap>,
    hosts: Hosts,
    memory: Memory,
}

/// What somebody asks, as far as it says who they are and whom it is for.
pub struct Asked<'a> {
    /// The RPC, as gRPC's path.
    pub rpc: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The host, without its port.
    pub host: &'a str,
    /// Whether a tenant's only org is meant where none is named.
    pub only_org: bool,
}

/// Who calls.
struct Who {
    principal: Principal,
    /// Whether it may work in every org of its tenant without being a member.
    in_every_org: bool,
}

impl Who {
    fn user(principal: Principal) -> Self {
        Self { in_every_org: principal.is_tenant_admin(), principal }
    }
}

/// What a caller acts within.
struct Within {
    context: Context,
    tenant: Option<Arc<TenantFacts>>,
    org: Option<Arc<OrgFacts>>,
    org_roles: Arc<Vec<String>>,
}

impl Admission {
    /// Admits by these tokens, at these hosts.
    pub fn new(mode: AuthMode, tokens: Tokens, hosts: Hosts, memory: Memory) -> Self {
        let credentials = Credentials::new(tokens);
        let access = AccessTable::new();
        Self { access, mode, credentials, bootstrap: None, hosts, memory }
    }

    /// Also admits by this token.
    pub fn with_bootstrap(self, bootstrap: Option<Bootstrap>) -> Self {
        Self { bootstrap, ..self }
    }

    /// Whether anybody may call `rpc`.
    pub fn knows(&self, rpc: &str) -> bool {
        self.access.of(rpc).is_some()
    }

    /// Whether what is the platform's own may be asked for at this host.
    pub fn serves_platform_at(&self, host: &str) -> bool {
        self.hosts.is_platforms(host)
    }

    /// The caller of an RPC, or why it is refused.
    pub async fn admit(&self, asked: Asked<'_>, facts: &RequestFacts) -> Result<Arc<Caller>> {
        let Some(access) = self.access.of(asked.rpc) else {
            return Err(Error::denied("nobody may call this method"));
        };
        if self.access.is_platforms(asked.rpc) && !self.serves_platform_at(asked.host) {
            let message = "this is served at the platform's hosts only".to_owned();
            return Err(Error::PermissionDenied { reason: "NOT_A_PLATFORM_HOST", message });
        }
        self.admit_to(access, asked, facts).await
    }

    /// The caller of what needs `access`, or why it is refused.
    pub async fn admit_to(
        &self,
        access: Access,
        asked: Asked<'_>,
        facts: &RequestFacts,
    ) -> Result<Arc<Caller>> {
        let caller = Arc::new(self.caller(access, asked, facts).await?);
        if caller.impersonating {
            let record = self.memory.directory().record_impersonation(access);
            CALLER.scope(Arc::clone(&caller), record).await?;
        }
        Ok(caller)
    }

    async fn caller(
        &self,
        access: Access,
        asked: Asked<'_>,
        facts: &RequestFacts,
    ) -> Result<Caller> {
        let who = match access.permission {
            // A stale token must not keep anybody from logging in.
            Permission::Public => None,
            _ => self.who(asked.headers).await?,
        };
        let within = self.within(access, &asked, who.as_ref()).await;
        let within = within.inspect_err(|_| {
            if let Some(who) = &who {
                facts.refused.get_or_init(|| who.principal.clone());
            }
        })?;
        Ok(Caller {
            principal: who.map(|who| who.principal),
            tenant: within.context.tenant,
            org: within.context.org,
            tenant_facts: within.tenant,
            org_facts: within.org,
            org_roles: within.org_roles,
            impersonating: within.context.impersonating,
            rpc: asked.rpc.to_owned(),
            request_id: facts.request_id.clone(),
            client_ip: facts.client_ip.clone(),
            user_agent: facts.user_agent.clone(),
            idempotency_key: idempotency_key(asked.headers)?,
        })
    }

    /// What the caller acts within, if it may.
    async fn within(&self, access: Access, asked: &Asked<'_>, who: Option<&Who>) -> Result<Within> {
        let principal = who.map(|who| &who.principal);
        access.permission.check(principal)?;
        let host = self.hosts.tenant(asked.host)?;
        let mut context = context::resolve(principal, asked.headers, host)?;
        // Nobody is told to be somebody where all are the same.
        let somebody = |p: &Principal| p.user_id != 0 || p.kind != Kind::User;
        context.impersonating &= principal.is_some_and(somebody);
        let named = access.scope == Scope::None || access.names_tenant;
        if context.tenant.is_none() && (!named || access.scope == Scope::Org) {
            return Err(Error::MissingContext { field: "tenant_id" });
        }
        let tenant = match &context.tenant {
            Some(id) => Some(self.tenant(id, access, principal).await?),
            None => None,
        };
        if let (true, Scope::Org, Some(tenant), None) =
            (asked.only_org, access.scope, &context.tenant, &context.org)
        {
            context.org = self.memory.directory().only_org(tenant).await?;
        }
        let key = context.tenant.clone().zip(context.org.clone());
        let key = key.map(|(tenant, org)| OrgKey { tenant, org });
        let org_roles = match self.org_roles(key.as_ref(), who).await {
            // Who was put out of the token's org can still go to another.
            Err(Error::PermissionDenied { .. })
                if access.permission == Permission::Authenticated =>
            {
                context.org = None;
                Arc::default()
            }
            roles => roles?,
        };
        let org = match access.scope {
            Scope::Org => Some(self.usable_org(key.as_ref()).await?),
            Scope::None | Scope::Tenant => None,
        };
        Ok(Within { context, tenant, org, org_roles })
    }

    /// Who calls, if it is anybody who may still come in.
    async fn who(&self, headers: &HeaderMap) -> Result<Option<Who>> {
        let malformed = |()| Error::Unauthenticated { message: "the token is not valid" };
        Ok(match headers::credential(headers).map_err(malformed)? {
            Some(Credential::Token(token)) if self.is_bootstrap(token) => {
                Some(Who::user(self.bootstrap().await?))
            }
            Some(Credential::Token(token)) => {
                let verified = self.credentials.verify(token)?;
                Some(Who::user(self.current(&verified.principal).await?))
            }
            Some(Credential::ApiKey(key)) => Some(self.key(key).await?),
            None if self.mode == AuthMode::Disabled => Some(Who::user(Principal::anonymous())),
            None => None,
        })
    }

    fn is_bootstrap(&self, token: &str) -> bool {
        self.bootstrap.as_ref().is_some_and(|bootstrap| opaque::hash(token) == bootstrap.hash)
    }

    /// Who comes with the configuration's token, while it is good.
    async fn bootstrap(&self) -> Result<Principal> {
        let always = self.bootstrap.as_ref().is_some_and(|bootstrap| bootstrap.always);
        if !always && self.memory.directory().has_owner().await? {
            let message = "there is a platform administrator: the bootstrap token is off";
            return Err(Error::Unauthenticated { message });
        }
        Ok(Principal::bootstrap())
    }

    /// Who comes with a key, which may do no more than its owner may now.
    async fn key(&self, key: &str) -> Result<Who> {
        let invalid = Error::Unauthenticated { message: "the API key is not valid" };
        if !opaque::is_one(opaque::API_KEY, key) {
            return Err(invalid);
        }
        let Some(key) = self.memory.api_key(&opaque::hash(key)).await? else {
            return Err(invalid);
        };
        let owner = match key.owner {
            Some(id) => Some(self.memory.user(id).await?.ok_or(Error::Unauthenticated {
                message: "the owner of the API key may not come in",
            })?),
            // Made where nobody had to say who it was.
            None if self.mode == AuthMode::Disabled => None,
            None => return Err(invalid),
        };
        let KeyHolder { principal, in_every_org } = key.holder(owner.as_deref()).ok_or(invalid)?;
        Ok(Who { principal, in_every_org })
    }

    /// The principal of a token as it is now: gone, or with other roles. A
    /// token is worth nothing without its session.
    async fn current(&self, principal: &Principal) -> Result<Principal> {
        let session = match principal.session {
            Some(id) => self.memory.session(id).await?,
            None => None,
        };
        let session = session.ok_or(Error::Unauthenticated { message: "the session has ended" })?;
        match (principal.kind, session.user_id) {
            (Kind::User, Some(user)) if user == principal.user_id => {}
            // What was opened at the console is nobody's.
            (Kind::BreakGlass, None) => return Ok(principal.clone()),
            _ => return Err(Error::Unauthenticated { message: "the token is not valid" }),
        }
        let user = self.memory.user(principal.user_id).await?;
        let Some(user) = user.filter(|user| user.tenant == principal.tenant) else {
            return Err(Error::Unauthenticated { message: "the token's user may not come in" });
        };
        Ok(Principal { roles: user.roles.clone(), ..principal.clone() })
    }

    /// A tenant that is known. One that is not active is served to platform
    /// administrators alone, and nothing of its databases to anybody.
    async fn tenant(
        &self,
        id: &TenantId,
        access: Access,
        principal: Option<&Principal>,
    ) -> Result<Arc<TenantFacts>> {
        let found = self.memory.tenant(id).await?;
        let tenant = found.ok_or_else(|| Error::not_found("tenant", id))?;
        let platform = principal.is_some_and(Principal::is_platform);
        if !platform || access.scope == Scope::Org {
            tenant.check()?;
        }
        Ok(tenant)
    }

    /// What the caller is in the org. Administrators need not be members.
    async fn org_roles(&self, key: Option<&OrgKey>, who: Option<&Who>) -> Result<Arc<Vec<String>>> {
        let (Some(key), Some(Who { principal, in_every_org })) = (key, who) else {
            return Ok(Arc::default());
        };
        if principal.is_platform() {
            return Ok(Arc::default());
        }
        if *in_every_org {
            let roles = self.memory.optional_membership(key, principal.user_id).await?;
            return Ok(roles.unwrap_or_default());
        }
        let roles = self.memory.membership(key, principal.user_id).await?;
        roles.ok_or_else(|| Error::denied(format!("not a member of org `{}`", key.org)))
    }

    async fn usable_org(&self, key: Option<&OrgKey>) -> Result<Arc<OrgFacts>> {
        let key = key.ok_or(Error::MissingContext { field: "org_id" })?;
        let found = self.memory.org(key).await?;
        let org = found.ok_or_else(|| Error::not_found("org", key))?;
        org.check()?;
        Ok(org)
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(key) = headers.get(headers::IDEMPOTENCY_KEY) else { return Ok(None) };
    let key: Cow<'_, str> = String::from_utf8_lossy(key.as_bytes());
    Ok(IdempotencyKey::parse(key.trim())?.map(|key| key.as_str().to_owned()))
}
