//! The rules that values obey, alone and together.

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    AuthMode, ClientCertificates, Config, Environment, Error, Problem, Purpose, Result,
    server::network,
};

const JWT_SECRET_BYTES: usize = 32;
const KEY_BYTES: usize = 32;
const TEN_YEARS: u64 = 10 * 366 * 86_400;
/// What the names of templates, spare databases, restores and tombstones begin
/// with.
const OWN_NAMES: &str = "yuantus_mt_";
/// What a size in the API can say.
const FILE_BYTES: u64 = u32::MAX as u64;

/// The problems found so far.
#[derive(Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn rule(&mut self, holds: bool, key: &str, rule: &str) {
        if !holds {
            self.0.push(Problem::new(key, rule));
        }
    }

    fn set(&mut self, secret: &SecretString, key: &str, name: &str) {
        self.rule(!secret.expose_secret().is_empty(), key, &format!("must be set ({name})"));
    }

    fn result(&mut self, result: Result<impl Sized>) {
        if let Err(Error::Invalid { problems }) = result {
            self.0.extend(problems);
        }
    }

    fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid { problems: self.0 }) }
    }
}

/// Checks all that is set.
pub(crate) fn check(config: &Config) -> Result<()> {
    let mut findings = Findings::default();
    databases(config, &mut findings);
    secrets(config, &mut findings);
    auth(config, &mut findings);
    worker(config, &mut findings);
    server(config, &mut findings);
    data(config, &mut findings);
    audit(config, &mut findings);
    storage(config, &mut findings);
    findings.finish()
}

/// Checks that what `purpose` needs is set.
pub(crate) fn require(config: &Config, purpose: Purpose) -> Result<()> {
    let mut findings = Findings::default();
    let identity = &config.identity.database_url;
    findings.set(identity, "identity.database_url", "YUANTUS_IDENTITY_DATABASE_URL");
    if purpose != Purpose::Identity {
        let template = &config.tenants.database_url_template;
        findings.set(template, "tenants.database_url_template", "YUANTUS_DATABASE_URL_TEMPLATE");
        findings.set(&config.secrets.key, "secrets.key", "YUANTUS_SECRET_KEY");
        let access_key = config.storage.access_key_id.as_str().into();
        findings.set(&access_key, "storage.access_key_id", "YUANTUS_S3_ACCESS_KEY_ID");
        let secret_key = &config.storage.secret_access_key;
        findings.set(secret_key, "storage.secret_access_key", "YUANTUS_S3_SECRET_ACCESS_KEY");
    }
    if purpose == Purpose::Api {
        findings.set(&config.auth.jwt_secret, "auth.jwt_secret", "YUANTUS_JWT_SECRET_KEY");
    }
    findings.finish()
}

/// Checks that who needs no token cannot come from elsewhere.
pub(crate) fn exposure(config: &Config) -> Result<()> {
    let mut findings = Findings::default();
    let guarded = config.auth.mode == AuthMode::Required
        || config.environment == Environment::Dev
        || config.server.listen.ip().is_loopback();
    let rule = "may be disabled only on a loopback server.host or with environment = \"dev\"";
    findings.rule(guarded, "auth.mode", rule);
    findings.finish()
}

fn server(config: &Config, findings: &mut Findings) {
    let server = &config.server;
    let drain = server.drain_seconds;
    findings.rule(seconds(drain) || drain == 0.0, "server.drain_seconds", "must not be negative");
    let timeout = seconds(server.request_timeout_seconds);
    let rule = "must be positive and at most a year";
    findings.rule(timeout, "server.request_timeout_seconds", rule);
    let platform = config.tenancy.platform_tenant_id == "platform";
    findings.rule(platform, "tenancy.platform_tenant_id", "must be platform");
    let networks = server.trusted_proxies.iter().all(|text| network(text).is_some());
    let rule = "must be addresses, or networks such as 10.0.0.0/8";
    findings.rule(networks, "server.trusted_proxies", rule);
    let origins = &server.cors_origins;
    let every = origins.iter().any(|origin| origin == "*");
    let rule = "must be origins such as https://console.example.org, or * alone";
    let sound = if every { origins.len() == 1 } else { origins.iter().all(|o| is_origin(o)) };
    findings.rule(sound, "server.cors_origins", rule);
    let (certificate, key) = (server.tls_certificate.is_some(), server.tls_key.is_some());
    findings.rule(certificate || !key, "server.tls_certificate", "must be set with tls_key");
    findings.rule(key || !certificate, "server.tls_key", "must be set with tls_certificate");
    let authority = server.tls_client_ca.is_some();
    let rule = "can be used only with tls_certificate";
    findings.rule(certificate || !authority, "server.tls_client_ca", rule);
    let required = server.tls_client_certificates == ClientCertificates::Required;
    let rule = "must be set when clients' certificates are required";
    findings.rule(authority || !required, "server.tls_client_ca", rule);
}

/// Whether a browser could send exactly this text as an origin.
fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}

fn storage(config: &Config, findings: &mut Findings) {
    let storage = &config.storage;
    for (key, url) in [
        ("storage.endpoint_url", &storage.endpoint_url),
        ("storage.public_endpoint_url", &storage.public_endpoint_url),
    ] {
        let sound = url.as_ref().is_none_or(|url| is_endpoint(url));
        let rule = "must be a URL such as https://s3.example.org:9000, without user or query";
        findings.rule(sound, key, rule);
    }
    let rule = "must be 3 to 63 lower-case letters, digits, `-` and `.`, with a letter or digit at \
                each end and at each side of a `.`, and no IP address";
    findings.rule(is_bucket(&storage.bucket), "storage.bucket", rule);
    findings.rule(!storage.region.is_empty(), "storage.region", "must not be empty");
}

fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// The rules of S3, which other servers take over.
fn is_bucket(name: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let ends = bytes.first().zip(bytes.last());
        ends.is_some_and(|(first, last)| {
            first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric()
        }) && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    };
    (3..=63).contains(&name.len())
        && name.split('.').all(label)
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

fn databases(config: &Config, findings: &mut Findings) {
    if !config.identity.database_url.expose_secret().is_empty() {
        findings.result(config.identity_url());
    }
    if !config.tenants.database_url_template.expose_secret().is_empty() {
        findings.result(config.admin_url());
        findings.result(config.name_template());
    }
    if let (Ok(identity), Ok(template)) = (config.identity_url(), config.name_template()) {
        let name = identity.path().trim_start_matches('/').to_owned();
        let ours = name.starts_with(OWN_NAMES) || template.may_name(&name);
        let rule = "must not name a database as orgs' databases, templates or tombstones are named";
        findings.rule(!ours, "identity.database_url", rule);
    }
    let connections = config.identity.max_connections;
    findings.rule(connections >= 2, "identity.max_connections", "must be at least 2");
    let per_byte = config.tenants.restore_bytes_per_dump_byte;
    let rule = "must be 1 to 100";
    let sound = (1.0..=100.0).contains(&per_byte);
    findings.rule(sound, "tenants.restore_bytes_per_dump_byte", rule);
    let maintenance = &config.tenants.maintenance_database;
    findings.rule(!maintenance.is_empty(), "tenants.maintenance_database", "must not be empty");
}

fn secrets(config: &Config, findings: &mut Findings) {
    let is_key = |key: &str| STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_BYTES);
    let key = config.secrets.key.expose_secret();
    findings.rule(key.is_empty() || is_key(key), "secrets.key", "must be base64 of 32 bytes");
    let previous = config.secrets.previous_keys.iter().map(ExposeSecret::expose_secret);
    let rule = "must each be base64 of 32 bytes";
    findings.rule(previous.into_iter().all(is_key), "secrets.previous_keys", rule);
}

fn auth(config: &Config, findings: &mut Findings) {
    let secret = config.auth.jwt_secret.expose_secret();
    let strong = secret.is_empty()
        || secret.len() >= JWT_SECRET_BYTES
        || config.environment == Environment::Dev;
    findings.rule(strong, "auth.jwt_secret", "must have at least 32 bytes in production");
    let previous = config.auth.previous_jwt_secrets.iter().map(ExposeSecret::expose_secret);
    let strong = config.environment == Environment::Dev
        || previous.into_iter().all(|secret| secret.len() >= JWT_SECRET_BYTES);
    let rule = "must each have at least 32 bytes in production";
    findings.rule(strong, "auth.previous_jwt_secrets", rule);
    let bootstrap = config.auth.bootstrap_token.as_ref();
    let strong = config.environment == Environment::Dev
        || bootstrap.is_none_or(|token| token.expose_secret().len() >= JWT_SECRET_BYTES);
    let rule = "must have at least 32 characters in production";
    findings.rule(strong, "auth.bootstrap_token", rule);
    let email = config.auth.first_owner_email.is_some();
    let password = config.auth.first_owner_password.is_some();
    let rule = "must be set with first_owner_password";
    findings.rule(email || !password, "auth.first_owner_email", rule);
    let rule = "must be set with first_owner_email";
    findings.rule(password || !email, "auth.first_owner_password", rule);
    findings.result(exposure(config));
    for (key, value) in [
        ("auth.token_ttl_seconds", config.auth.token_ttl_seconds),
        ("auth.session_ttl_seconds", config.auth.session_ttl_seconds),
        ("auth.session_idle_seconds", config.auth.session_idle_seconds),
    ] {
        let rule = "must be positive and at most ten years";
        findings.rule((1..=TEN_YEARS).contains(&value), key, rule);
    }
}

fn audit(config: &Config, findings: &mut Findings) {
    let audit = &config.audit;
    for (key, value) in [
        ("audit.retention_days", audit.retention_days),
        ("audit.retention_max_rows", audit.retention_max_rows),
        ("audit.prune_interval_seconds", audit.prune_interval_seconds),
        ("audit.checkpoint_interval_seconds", audit.checkpoint_interval_seconds),
    ] {
        findings.rule(i32::try_from(value).is_ok(), key, "must be at most 2147483647");
    }
    let checkpoints = audit.checkpoint_interval_seconds;
    findings.rule(checkpoints > 0, "audit.checkpoint_interval_seconds", "must be positive");
}

fn worker(config: &Config, findings: &mut Findings) {
    let worker = &config.worker;
    for (key, value) in [
        ("worker.poll_interval_seconds", worker.poll_interval_seconds),
        ("worker.lease_seconds", worker.lease_seconds),
        ("worker.heartbeat_seconds", worker.heartbeat_seconds),
        ("worker.reaper_seconds", worker.reaper_seconds),
        ("worker.backoff_initial_seconds", worker.backoff_initial_seconds),
        ("worker.backoff_max_seconds", worker.backoff_max_seconds),
    ] {
        findings.rule(seconds(value), key, "must be positive and at most a year");
    }
    let shorter = worker.heartbeat_seconds < worker.lease_seconds;
    findings.rule(shorter, "worker.heartbeat_seconds", "must be less than worker.lease_seconds");
    let ordered = worker.backoff_initial_seconds <= worker.backoff_max_seconds;
    let rule = "must be at most worker.backoff_max_seconds";
    findings.rule(ordered, "worker.backoff_initial_seconds", rule);
    findings.rule(worker.concurrency > 0, "worker.concurrency", "must be positive");
    findings.rule(worker.max_attempts > 0, "worker.max_attempts", "must be positive");
    findings.rule(worker.lane_depth > 0, "worker.lane_depth", "must be positive");
}

fn data(config: &Config, findings: &mut Findings) {
    let data = &config.data;
    for (key, value) in [
        ("data.idle_seconds", data.idle_seconds),
        ("data.wait_seconds", data.wait_seconds),
        ("data.statement_timeout_seconds", data.statement_timeout_seconds),
    ] {
        findings.rule(seconds(value), key, "must be positive and at most a year");
    }
    let largest = (1..=FILE_BYTES).contains(&data.max_file_bytes);
    findings.rule(largest, "data.max_file_bytes", "must be 1 to 4294967295");
    let week = (1..=604_800).contains(&data.file_url_seconds);
    findings.rule(week, "data.file_url_seconds", "must be 1 to 604800");
    let one = data.max_connections_per_database;
    findings.rule(one > 0, "data.max_connections_per_database", "must be positive");
    let rule = "must be at least data.max_connections_per_database";
    findings.rule(data.max_connections >= one, "data.max_connections", rule);
}

/// A length of time that a `Duration` can hold and a person can mean.
fn seconds(value: f64) -> bool {
    value > 0.0 && value <= 366.0 * 86_400.0
}
