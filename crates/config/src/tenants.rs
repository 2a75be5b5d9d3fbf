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
    /// Host clients are told to connect to, if not the template's.
    #[serde(deserialize_with = "optional::text")]
    pub client_host: Option<String>,
    /// Port clients are told to connect to, if not the template's.
    #[serde(deserialize_with = "optional::port")]
    pub client_port: Option<u16>,
}
