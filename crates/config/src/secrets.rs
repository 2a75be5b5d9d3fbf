//! `[secrets]`: the key that everything else is sealed with.

use secrecy::SecretString;
use serde::Deserialize;

use crate::optional;

/// `[secrets]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Base64 of 32 bytes.
    pub key: SecretString,
    /// Keys that secrets may still be sealed with; the same.
    #[serde(deserialize_with = "optional::secrets")]
    pub previous_keys: Vec<SecretString>,
    /// Means nothing: keys are named after themselves. Older files have it.
    #[serde(default)]
    pub key_id: Option<String>,
}
