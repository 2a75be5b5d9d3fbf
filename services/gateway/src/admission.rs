//! The one authentication layer: who calls, and may they call this RPC.

use std::sync::Arc;

use http::HeaderMap;
use yuantus_auth::{Caller, Permission, Principal, Tokens};
use yuantus_config::AuthMode;
use yuantus_domain::{Error, IdempotencyKey, Result};

use crate::{
    access::AccessTable,
    context::{self, Context},
    headers,
    request::RequestFacts,
};

/// Admits callers.
pub struct Admission {
    access: AccessTable,
    mode: AuthMode,
    tokens: Tokens,
}

impl Admission {
    /// Admits by these tokens.
    pub fn new(mode: AuthMode, tokens: Tokens) -> Self {
        Self { access: AccessTable::new(), mode, tokens }
    }

    /// Whether anybody may call `rpc`.
    pub fn knows(&self, rpc: &str) -> bool {
        self.access.of(rpc).is_some()
    }

    /// The caller of `rpc`, or why it is refused.
    pub fn admit(
        &self,
        rpc: &str,
        headers: &HeaderMap,
        facts: &RequestFacts,
    ) -> Result<Arc<Caller>> {
        let Some(access) = self.access.of(rpc) else {
            return Err(Error::denied("nobody may call this method"));
        };
        let principal = match access.permission {
            // A stale token must not keep anybody from logging in.
            Permission::Public => self.principal(headers).unwrap_or_default(),
            _ => self.principal(headers)?,
        };
        let refused = |error| {
            if let Some(principal) = &principal {
                facts.refused.get_or_init(|| principal.clone());
            }
            error
        };
        access.permission.check(principal.as_ref()).map_err(refused)?;
        let context = context::resolve(principal.as_ref(), headers).map_err(refused)?;
        let Context { tenant, org, impersonating } = context;
        let key = headers.get(headers::IDEMPOTENCY_KEY);
        let key = key.map(|key| String::from_utf8_lossy(key.as_bytes())).unwrap_or_default();
        let key = IdempotencyKey::parse(key.trim())?.map(|key| key.as_str().to_owned());
        Ok(Arc::new(Caller {
            principal,
            tenant,
            org,
            impersonating,
            rpc: rpc.to_owned(),
            request_id: facts.request_id.clone(),
            client_ip: facts.client_ip.clone(),
            user_agent: facts.user_agent.clone(),
            idempotency_key: key,
        }))
    }

    fn principal(&self, headers: &HeaderMap) -> Result<Option<Principal>> {
        let malformed = |()| Error::Unauthenticated { message: "the token is not valid" };
        match headers::bearer(headers).map_err(malformed)? {
            Some(token) => Ok(Some(self.tokens.verify(token)?)),
            None if self.mode == AuthMode::Disabled => Ok(Some(Principal::anonymous())),
            None => Ok(None),
        }
    }
}
