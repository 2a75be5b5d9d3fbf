//! `[auth]`: who may call.

use std::num::NonZeroU32;

use secrecy::SecretString;
use serde::Deserialize;

use crate::{Environment, optional};

/// `[auth]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Whether callers need a token.
    pub mode: AuthMode,
    /// Whether `/api/v1/admin/tenants` is served.
    pub platform_admin_enabled: bool,
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
    /// Attempts to log in that one account takes in a minute; 0: as the
    /// environment asks for.
    pub login_attempts_per_account: u32,
    /// Attempts to log in that one address may make in a minute; 0: as the
    /// environment asks for.
    pub login_attempts_per_source: u32,
    /// The address of the first platform administrator.
    #[serde(deserialize_with = "optional::text")]
    pub first_owner_email: Option<String>,
    /// The password of the first platform administrator.
    #[serde(deserialize_with = "optional::text")]
    pub first_owner_password: Option<SecretString>,
    /// A token for the time before there is a platform administrator.
    #[serde(deserialize_with = "optional::text")]
    pub bootstrap_token: Option<SecretString>,
    /// Whether that token is good afterwards too.
    pub bootstrap_token_always: bool,
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
    /// None does: who has none is a platform administrator. One that is sent is
    /// checked, so `optional` is the same.
    #[serde(alias = "optional")]
    Disabled,
}

/// Attempts to log in that are taken in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginAttempts {
    /// At one account.
    pub per_account: NonZeroU32,
    /// From one address.
    pub per_source: NonZeroU32,
}

impl Auth {
    /// How often somebody may try to log in.
    pub fn login_attempts(&self, environment: Environment) -> LoginAttempts {
        let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let (account, source) = match environment {
            Environment::Production => (10, 60),
            Environment::Dev => (600, 6000),
        };
        LoginAttempts {
            per_account: NonZeroU32::new(self.login_attempts_per_account)
                .unwrap_or(number(account)),
            per_source: NonZeroU32::new(self.login_attempts_per_source).unwrap_or(number(source)),
        }
    }
}
