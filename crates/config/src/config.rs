//! The configuration as a whole.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use yuantus_domain::{DatabaseUrlTemplate, database_url::parse_url};

use crate::{
    Audit, Auth, Data, Environment, Error, Identity, Log, Metrics, Problem, Purpose, Result,
    Secrets, Server, Storage, Tenancy, Tenants, Worker, check, load,
};

/// The database that `database_url` stands for as the identity database.
const IDENTITY_DATABASE: &str = "yuantus_identity_mt_pg";
/// The name template that `database_url` stands for.
const NAME_TEMPLATE: &str = "yuantus_mt_pg__{tenant_id}__{org_id}";

/// All there is to configure. Debug shows no secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where this deployment runs.
    pub environment: Environment,
    /// How orgs are kept apart.
    pub tenancy_mode: TenancyMode,
    /// Where schemas come from.
    pub schema_mode: SchemaMode,
    database_url: SecretString,
    /// `[server]`.
    pub server: Server,
    /// `[identity]`.
    pub identity: Identity,
    /// `[tenancy]`.
    pub tenancy: Tenancy,
    /// `[tenants]`.
    pub tenants: Tenants,
    /// `[data]`.
    pub data: Data,
    /// `[storage]`.
    pub storage: Storage,
    /// `[auth]`.
    pub auth: Auth,
    /// `[audit]`.
    pub audit: Audit,
    /// `[secrets]`.
    pub secrets: Secrets,
    /// `[worker]`.
    pub worker: Worker,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// `[log]`.
    pub log: Log,
}

/// A configuration, and what is odd about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// For the log: variables that this version does not use.
    pub warnings: Vec<String>,
}

/// How orgs are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TenancyMode {
    /// Each (tenant, org) has its own database.
    #[serde(rename = "db-per-tenant-org")]
    DbPerTenantOrg,
}

/// Where schemas come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaMode {
    /// From migrations.
    Migrations,
}

impl Config {
    /// Reads defaults, `file` and the environment of this process.
    pub fn load(file: Option<&Path>) -> Result<Loaded> {
        Self::load_with(file, &[], &[])
    }

    /// As [`Config::load`], with variables that the environment wins over
    /// (`below`) and variables that win over the environment (`above`).
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    pub fn load_with(
        file: Option<&Path>,
        below: &[(&str, String)],
        above: &[(&str, String)],
    ) -> Result<Loaded> {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        let own = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        let process = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        load::load(file, below.iter().map(own).chain(process).chain(above.iter().map(own)))
    }

    /// Reads defaults, `file` and `variables`, which stand for the environment.
    pub fn load_from(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded> {
        load::load(file, variables)
    }

    /// Fails where a key is empty that `purpose` cannot do without.
    pub fn require(&self, purpose: Purpose) -> Result<()> {
        check::require(self, purpose)
    }

    /// URL of the identity database, as `postgresql://`.
    pub fn identity_url(&self) -> Result<Url> {
        url("identity.database_url", &self.identity.database_url)
    }

    /// URL that the orgs' server is administered through: the template's with
    /// the maintenance database for its path.
    pub fn admin_url(&self) -> Result<Url> {
        let mut url = url("tenants.database_url_template", &self.tenants.database_url_template)?;
        url.set_path(&format!("/{}", self.tenants.maintenance_database));
        Ok(url)
    }

    /// How the orgs' databases are named.
    pub fn name_template(&self) -> Result<DatabaseUrlTemplate> {
        DatabaseUrlTemplate::parse(self.tenants.database_url_template.expose_secret())
            .map_err(|error| refused("tenants.database_url_template", error))
    }

    /// Fills what `database_url` stands for.
    pub(crate) fn derive(&mut self) {
        let base = self.database_url.expose_secret();
        let Some((server, options)) = split_database(base) else {
            return;
        };
        let fill = |secret: &mut SecretString, database: &str| {
            if secret.expose_secret().is_empty() {
                *secret = format!("{server}/{database}{options}").into();
            }
        };
        fill(&mut self.identity.database_url, IDENTITY_DATABASE);
        fill(&mut self.tenants.database_url_template, NAME_TEMPLATE);
    }
}

/// Splits `scheme://server/database?options` into what is before and behind
/// the database's name.
fn split_database(url: &str) -> Option<(&str, &str)> {
    let (url, options) = url.split_at(url.find('?').unwrap_or(url.len()));
    let start = url.find("://")? + "://".len();
    let server = url[start..].find('/').map_or(url.len(), |slash| start + slash);
    Some((&url[..server], options))
}

fn url(key: &'static str, secret: &SecretString) -> Result<Url> {
    parse_url(key, secret.expose_secret()).map_err(|error| refused(key, error))
}

pub(crate) fn refused(key: &str, error: yuantus_domain::Error) -> Error {
    let rule = match error {
        yuantus_domain::Error::InvalidArgument { rule, .. } => rule,
        other => other.to_string(),
    };
    Error::Invalid { problems: vec![Problem::new(key, rule)] }
}
