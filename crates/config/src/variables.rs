//! The environment as a figment provider.
//!
//! A variable's text becomes the type that the key has in `default.toml`, so
//! that a password of digits stays text.

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

use crate::Problem;

/// Names that the runbooks use, and the keys they stand for.
const NAMES: &[(&str, &str)] = &[
    ("YUANTUS_AUDIT_ENABLED", "audit.enabled"),
    ("YUANTUS_AUDIT_MAX_ROWS", "audit.retention_max_rows"),
    ("YUANTUS_AUDIT_PRUNE_INTERVAL_SECONDS", "audit.prune_interval_seconds"),
    ("YUANTUS_AUDIT_RETENTION_DAYS", "audit.retention_days"),
    ("YUANTUS_AUDIT_RETENTION_MAX_ROWS", "audit.retention_max_rows"),
    ("YUANTUS_AUDIT_RETENTION_PRUNE_INTERVAL_SECONDS", "audit.prune_interval_seconds"),
    ("YUANTUS_AUTH_MODE", "auth.mode"),
    ("YUANTUS_BOOTSTRAP_TOKEN", "auth.bootstrap_token"),
    ("YUANTUS_BUNDLE", "tenants.bundle"),
    ("YUANTUS_CORS_ORIGINS", "server.cors_origins"),
    ("YUANTUS_DATABASE_URL_TEMPLATE", "tenants.database_url_template"),
    ("YUANTUS_FIRST_OWNER_EMAIL", "auth.first_owner_email"),
    ("YUANTUS_FIRST_OWNER_PASSWORD", "auth.first_owner_password"),
    ("YUANTUS_HOST", "server.host"),
    ("YUANTUS_IDENTITY_DATABASE_URL", "identity.database_url"),
    ("YUANTUS_JWT_SECRET_KEY", "auth.jwt_secret"),
    ("YUANTUS_LOG_FORMAT", "log.format"),
    ("YUANTUS_LOG_LEVEL", "log.level"),
    ("YUANTUS_METRICS_LISTEN", "metrics.listen"),
    ("YUANTUS_METRICS_WORKER_LISTEN", "metrics.worker_listen"),
    ("YUANTUS_NODE_ID", "worker.node_id"),
    ("YUANTUS_PLATFORM_ADMIN_ENABLED", "auth.platform_admin_enabled"),
    ("YUANTUS_PLATFORM_HOSTS", "tenancy.platform_hosts"),
    ("YUANTUS_PLATFORM_TENANT_ID", "tenancy.platform_tenant_id"),
    ("YUANTUS_PORT", "server.port"),
    ("YUANTUS_PREVIOUS_JWT_SECRETS", "auth.previous_jwt_secrets"),
    ("YUANTUS_PREVIOUS_SECRET_KEYS", "secrets.previous_keys"),
    ("YUANTUS_RESERVED_SUBDOMAINS", "tenancy.reserved_subdomains"),
    ("YUANTUS_ROOT_DOMAIN", "tenancy.root_domain"),
    ("YUANTUS_S3_ACCESS_KEY_ID", "storage.access_key_id"),
    ("YUANTUS_S3_BUCKET_NAME", "storage.bucket"),
    ("YUANTUS_S3_ENDPOINT_URL", "storage.endpoint_url"),
    ("YUANTUS_S3_PUBLIC_ENDPOINT_URL", "storage.public_endpoint_url"),
    ("YUANTUS_S3_REGION", "storage.region"),
    ("YUANTUS_S3_SECRET_ACCESS_KEY", "storage.secret_access_key"),
    ("YUANTUS_SECRET_KEY", "secrets.key"),
    ("YUANTUS_STORAGE_TYPE", "storage.type"),
    ("YUANTUS_TLS_CERTIFICATE", "server.tls_certificate"),
    ("YUANTUS_TLS_CLIENT_CA", "server.tls_client_ca"),
    ("YUANTUS_TLS_CLIENT_CERTIFICATES", "server.tls_client_certificates"),
    ("YUANTUS_TLS_KEY", "server.tls_key"),
    ("YUANTUS_TRUSTED_PROXIES", "server.trusted_proxies"),
];

/// Names without our prefix that are taken too. Ours win over them.
const BARE: &[(&str, &str)] = &[
    ("APP_HOST", "server.host"),
    ("APP_PORT", "server.port"),
    ("BOOTSTRAP_TOKEN", "auth.bootstrap_token"),
    ("DATABASE_URL", "database_url"),
    ("FIRST_OWNER_EMAIL", "auth.first_owner_email"),
    ("FIRST_OWNER_PASSWORD", "auth.first_owner_password"),
    ("JWT_SECRET", "auth.jwt_secret"),
    ("PLATFORM_HOSTS", "tenancy.platform_hosts"),
    ("RESERVED_SUBDOMAINS", "tenancy.reserved_subdomains"),
    ("ROOT_DOMAIN", "tenancy.root_domain"),
];

/// Read by the command line, not by the configuration.
const ELSEWHERE: &[&str] = &[
    "YUANTUS_CA_FILE",
    "YUANTUS_CLIENT_CERTIFICATE",
    "YUANTUS_CLIENT_KEY",
    "YUANTUS_CONFIG",
    "YUANTUS_CRASH_AT",
    "YUANTUS_PROFILE",
    "YUANTUS_REPEAT_STEPS",
    "YUANTUS_SERVER",
    "YUANTUS_TOKEN",
];

/// Of the runbooks or of former versions, and not used by this one.
const UNUSED: &[&str] = &["YUANTUS_QUOTA_MODE", "YUANTUS_SECRETS__KEY_ID"];

/// How alike a name must be to be meant, of 1.
const ALIKE: f64 = 0.8;

/// What the environment sets.
#[derive(Default)]
pub(crate) struct Variables {
    data: Dict,
    /// Names that begin with `YUANTUS_` and mean nothing. A name that is
    /// mistyped leaves a default in force that somebody meant to change.
    pub(crate) unknown: Vec<Problem>,
    /// Names that mean nothing yet.
    pub(crate) unused: Vec<String>,
}

impl Variables {
    /// Sorts variables into keys of `defaults`; others than `YUANTUS_*` and
    /// the bare ones are nobody's business here.
    pub(crate) fn collect(
        defaults: &Dict,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut found = Self::default();
        let variables: Vec<_> = variables.into_iter().collect();
        for (bare, key) in BARE {
            if let Some((_, text)) = variables.iter().rfind(|(name, _)| name == bare) {
                found.set(defaults, key, text);
            }
        }
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix("YUANTUS_") else {
                continue;
            };
            if ELSEWHERE.contains(&name.as_str()) || is_service_link(rest, &text) {
                continue;
            }
            if UNUSED.contains(&name.as_str()) {
                found.unused.push(name);
                continue;
            }
            let known = NAMES.iter().find(|(known, _)| *known == name);
            let key = match known {
                Some((_, key)) => (*key).to_owned(),
                None => rest.to_ascii_lowercase().replace("__", "."),
            };
            if !found.set(defaults, &key, &text) {
                let rule = unknown(defaults, &name);
                found.unknown.push(Problem::new(name, rule));
            }
        }
        found.unknown.sort_by(|a, b| a.key.cmp(&b.key));
        found
    }

    fn set(&mut self, defaults: &Dict, key: &str, text: &str) -> bool {
        let (section, key) = match key.split_once('.') {
            Some((section, key)) => (Some(section), key),
            None => (None, key),
        };
        let known = match section {
            Some(section) => defaults.get(section).and_then(Value::as_dict),
            None => Some(defaults),
        };
        let Some(default) = known.and_then(|known| known.get(key)) else {
            return false;
        };
        if default.as_dict().is_some() {
            return false;
        }
        let value = typed(default, text);
        match section {
            None => self.data.insert(key.to_owned(), value),
            Some(section) => {
                let entry =
                    self.data.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
                let Value::Dict(_, dict) = entry else {
                    return false;
                };
                dict.insert(key.to_owned(), value)
            }
        };
        true
    }
}

/// Whether Kubernetes or Docker set it for a service named `yuantus` or
/// `yuantus-…`: `YUANTUS_SERVICE_HOST`, `YUANTUS_API_PORT_7910_TCP_ADDR`.
fn is_service_link(rest: &str, text: &str) -> bool {
    let url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    let padded = format!("_{rest}_");
    padded.contains("_SERVICE_HOST_")
        || padded.contains("_SERVICE_PORT_")
        || url && padded.contains("_PORT_")
        || ["_TCP_", "_UDP_", "_SCTP_"].iter().any(|protocol| {
            padded.contains("_PORT_")
                && ["ADDR_", "PORT_", "PROTO_"]
                    .iter()
                    .any(|end| padded.ends_with(&format!("{protocol}{end}")))
        })
}

/// Names the one that may have been meant.
fn unknown(defaults: &Dict, name: &str) -> String {
    let long = defaults.iter().flat_map(|(section, value)| match value.as_dict() {
        None => vec![format!("YUANTUS_{}", section.to_ascii_uppercase())],
        Some(keys) => keys
            .keys()
            .map(|key| format!("YUANTUS_{section}__{key}").to_ascii_uppercase())
            .collect(),
    });
    let short = NAMES.iter().map(|(name, _)| (*name).to_owned());
    let elsewhere = ELSEWHERE.iter().map(|name| (*name).to_owned());
    let alike = long.chain(short).chain(elsewhere).map(|known| {
        let alike = strsim::normalized_damerau_levenshtein(&known, name);
        (alike, known)
    });
    match alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, known)) => format!("is not a known variable; {known} is"),
        None => "is not a known variable".to_owned(),
    }
}

/// Text that is no number where one is due stays text; the type error that
/// follows names the key. Lists are separated by commas.
fn typed(default: &Value, text: &str) -> Value {
    match default {
        Value::Num(..) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(integer), _) => Value::from(integer),
            (_, Ok(float)) => Value::from(float),
            _ => Value::from(text),
        },
        Value::Bool(..) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Value::from(true),
            "false" | "0" | "no" | "off" | "" => Value::from(false),
            _ => Value::from(text),
        },
        Value::Array(..) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::from(items.map(Value::from).collect::<Vec<_>>())
        }
        _ => Value::from(text),
    }
}

impl Provider for Variables {
    fn metadata(&self) -> Metadata {
        Metadata::named("the environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.data.clone())]))
    }
}
