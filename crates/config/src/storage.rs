//! `[storage]`: the S3 bucket that backups are in.

use secrecy::SecretString;
use serde::Deserialize;

use crate::optional;

/// `[storage]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// What kind it is.
    #[serde(rename = "type")]
    pub kind: StorageType,
    /// URL of the server; AWS if none.
    #[serde(deserialize_with = "optional::text")]
    pub endpoint_url: Option<String>,
    /// URL of the server as clients outside reach it, if another.
    #[serde(deserialize_with = "optional::text")]
    pub public_endpoint_url: Option<String>,
    /// Region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Id of the access key.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: SecretString,
}

/// Kinds of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageType {
    /// An S3 server.
    S3,
}
