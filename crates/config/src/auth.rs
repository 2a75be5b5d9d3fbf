//! `[auth]`: who may call.

use secrecy::SecretString;
use serde::Deserialize;

use crate::optional;

/// `[auth]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Whether callers need a token.
    pub mode: AuthMode,
    /// What tokens are signed with.
    pub jwt_secret: SecretString,
    /// What tokens were signed with before, and still may be.
    #[serde(deserialize_with = "optional::secrets")]
    pub previous_jwt_secrets: Vec<SecretString>,
    /// Seconds a token is good for.
    pub token_ttl_seconds: u64,
    /// Seconds a session lasts that is used now and then.
    pub session_ttl_seconds: u64,
    /// Seconds a session lasts that is not used.
    pub session_idle_seconds: u64,
    /// Password hashes computed at once; 0: as many as there are cores.
    pub hash_concurrency: usize,
    /// Password hashes that may wait.
    pub hash_queue: usize,
}

/// Whether callers need a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// All do, but for login and health.
    Required,
    /// None does; every caller is a platform administrator.
    Disabled,
}
