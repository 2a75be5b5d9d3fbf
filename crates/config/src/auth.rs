//! `[auth]`: who may call.

use secrecy::SecretString;
use serde::Deserialize;

/// `[auth]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Whether callers need a token.
    pub mode: AuthMode,
    /// What tokens are signed with.
    pub jwt_secret: SecretString,
    /// Seconds a token is good for.
    pub token_ttl_seconds: u64,
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
