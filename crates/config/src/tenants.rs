//! `[tenants]`: where the orgs' databases are and what is in them.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use crate::optional;

/// `[tenants]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    /// URL whose path holds `{tenant_id}` and `{org_id}`; see
    /// [`crate::Config::admin_url`] and [`crate::Config::name_template`].
    pub database_url_template: SecretString,
    /// Database that administration connects to.
    pub maintenance_database: String,
    /// How many ready, empty databases are kept.
    pub spare_target: u32,
    /// Directory of migrations; the built-in ones if none.
    #[serde(deserialize_with = "optional::text")]
    pub bundle: Option<PathBuf>,
    /// Seconds a replaced database is kept.
    pub tombstone_retention_seconds: u64,
    /// A directory of this machine on the disk of the server's data.
    #[serde(deserialize_with = "optional::text")]
    pub data_directory: Option<PathBuf>,
    /// Bytes that databases may take; 0 if nobody says.
    pub capacity_bytes: u64,
    /// Bytes of the disk that stay free.
    pub min_free_bytes: u64,
    /// Bytes that a restored database takes for each byte of its dump.
    pub restore_bytes_per_dump_byte: f64,
    /// Host clients are told to connect to, if not the template's.
    #[serde(deserialize_with = "optional::text")]
    pub client_host: Option<String>,
    /// Port clients are told to connect to, if not the template's.
    #[serde(deserialize_with = "optional::port")]
    pub client_port: Option<u16>,
}
