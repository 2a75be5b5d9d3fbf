//! `[secrets]`: the key that everything else is sealed with.

use secrecy::SecretString;
use serde::Deserialize;

/// `[secrets]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Base64 of 32 bytes.
    pub key: SecretString,
    /// Name of the key, stored with all it sealed.
    pub key_id: String,
}
