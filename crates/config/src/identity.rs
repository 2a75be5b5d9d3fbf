//! `[identity]`: the database that records what should exist.

use secrecy::SecretString;
use serde::Deserialize;

/// `[identity]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its URL; see [`crate::Config::identity_url`].
    pub database_url: SecretString,
    /// Most connections one process opens to it.
    pub max_connections: u32,
}
