//! Loading, layering and refusing configurations.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{io::Write, path::Path};

use secrecy::ExposeSecret;
use yuantus_config::{AuthMode, Config, DEFAULT_TOML, Environment, Error, Loaded, Purpose, Result};

const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn load(variables: &[(&str, &str)]) -> Result<Loaded> {
    load_file(None, variables)
}

fn load_file(file: Option<&Path>, variables: &[(&str, &str)]) -> Result<Loaded> {
    let owned = variables.iter().map(|(name, text)| (name.to_string(), text.to_string()));
    Config::load_from(file, owned)
}

fn refused(variables: &[(&str, &str)]) -> String {
    load(variables).unwrap_err().to_string()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn the_defaults_load_and_are_those_documented() {
    let config = load(&[]).unwrap().config;
    assert_eq!(config.environment, Environment::Production);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7910");
    assert_eq!(config.auth.mode, AuthMode::Required);
    assert_eq!((config.tenants.spare_target, config.worker.concurrency), (4, 16));
    assert_eq!((config.tenants.bundle, config.tenants.client_port), (None, None));
}

#[test]
fn every_key_has_a_comment_before_it() {
    let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#'))
    {
        let grouped =
            ["client_port", "max_connections_per_database"].iter().any(|k| pair[1].starts_with(k));
        assert!(pair[0].starts_with('#') || grouped, "{}", pair[1]);
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file =
        file("[worker]\nlease_seconds = 12\nheartbeat_seconds = 3\n[log]\nlevel = \"debug\"\n");
    let loaded = load_file(
        Some(file.path()),
        &[("YUANTUS_WORKER__LEASE_SECONDS", "1.5"), ("YUANTUS_WORKER__HEARTBEAT_SECONDS", "0.5")],
    )
    .unwrap();
    assert_eq!(loaded.config.worker.lease_seconds, 1.5);
    assert_eq!(loaded.config.worker.heartbeat().as_millis(), 500);
    assert_eq!(loaded.config.log.level, "debug");
    assert_eq!(loaded.config.worker.reaper_seconds, 5.0);
}

#[test]
fn the_environment_of_the_multi_tenancy_runbook_is_taken_as_printed() {
    let base = "postgresql+psycopg://yuantus:yuantus@localhost:55432";
    let loaded = load(&[
        ("YUANTUS_TENANCY_MODE", "db-per-tenant-org"),
        ("YUANTUS_SCHEMA_MODE", "migrations"),
        ("YUANTUS_DATABASE_URL", &format!("{base}/yuantus")),
        (
            "YUANTUS_DATABASE_URL_TEMPLATE",
            &format!("{base}/yuantus_mt_pg__{{tenant_id}}__{{org_id}}"),
        ),
        ("YUANTUS_IDENTITY_DATABASE_URL", &format!("{base}/yuantus_identity_mt_pg")),
        ("YUANTUS_PLATFORM_TENANT_ID", "platform"),
        ("YUANTUS_STORAGE_TYPE", "s3"),
        ("YUANTUS_S3_ENDPOINT_URL", "http://localhost:9000"),
        ("YUANTUS_S3_PUBLIC_ENDPOINT_URL", "http://localhost:9000"),
    ])
    .unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let config = loaded.config;
    config.require(Purpose::Identity).unwrap();
    let url = |database: &str| format!("postgresql://yuantus:yuantus@localhost:55432/{database}");
    assert_eq!(config.admin_url().unwrap().as_str(), url("postgres"));
    assert_eq!(config.identity_url().unwrap().as_str(), url("yuantus_identity_mt_pg"));
    assert_eq!(config.name_template().unwrap().prefix(), "yuantus_mt_pg__");
    assert_eq!(config.storage.endpoint_url.as_deref(), Some("http://localhost:9000"));
}

#[test]
fn one_database_url_stands_for_both_others() {
    let url = "postgresql://u:p@db/app?sslmode=require";
    let config = load(&[("YUANTUS_DATABASE_URL", url)]).unwrap().config;
    let identity = config.identity_url().unwrap();
    assert_eq!(identity.as_str(), "postgresql://u:p@db/yuantus_identity_mt_pg?sslmode=require");
    assert_eq!(config.admin_url().unwrap().path(), "/postgres");
}

#[test]
fn host_and_port_name_what_to_listen_on() {
    for (host, listen) in
        [("0.0.0.0", "0.0.0.0:1"), ("::1", "[::1]:1"), ("localhost", "127.0.0.1:1")]
    {
        let loaded = load(&[("YUANTUS_HOST", host), ("YUANTUS_PORT", "1")]).unwrap();
        assert_eq!(loaded.config.server.listen.to_string(), listen);
    }
    assert!(
        refused(&[("YUANTUS_HOST", "example.org")]).contains("server.host must be an IP address")
    );
    assert!(refused(&[("YUANTUS_PORT", "70000")]).contains("server.port must be"));
}

#[test]
fn the_audit_trails_variables_are_taken_by_their_short_names() {
    let config = load(&[
        ("YUANTUS_AUDIT_ENABLED", "true"),
        ("YUANTUS_AUDIT_RETENTION_DAYS", "90"),
        ("YUANTUS_AUDIT_RETENTION_MAX_ROWS", "1000000"),
        ("YUANTUS_AUDIT_PRUNE_INTERVAL_SECONDS", "600"),
    ]);
    let audit = config.unwrap().config.audit;
    assert!(audit.enabled);
    assert_eq!((audit.retention_days, audit.retention_max_rows), (90, 1_000_000));
    assert_eq!(audit.prune_interval().map(|time| time.as_secs()), Some(600));
    let off =
        load(&[("YUANTUS_AUDIT_ENABLED", "0"), ("YUANTUS_AUDIT_PRUNE_INTERVAL_SECONDS", "0")]);
    let off = off.unwrap().config.audit;
    assert!(!off.enabled && off.prune_interval().is_none());
}

#[test]
fn text_of_digits_stays_text() {
    let config = load(&[("YUANTUS_S3_SECRET_ACCESS_KEY", "12345"), ("YUANTUS_NODE_ID", "1")])
        .unwrap()
        .config;
    assert_eq!(config.storage.secret_access_key.expose_secret(), "12345");
    assert_eq!(config.worker.node_id.as_deref(), Some("1"));
}

#[test]
fn unknown_variables_and_unknown_keys_of_a_file_are_refused() {
    for (name, expected) in [
        (
            "YUANTUS_SEVER__PORT",
            "YUANTUS_SEVER__PORT is not a known variable; YUANTUS_SERVER__PORT is",
        ),
        ("YUANTUS_SECRETKEY", "YUANTUS_SECRETKEY is not a known variable; YUANTUS_SECRET_KEY is"),
        ("YUANTUS_WORKER__LEASE", "YUANTUS_WORKER__LEASE is not a known variable"),
        ("YUANTUS_SOMETHING_ELSE", "YUANTUS_SOMETHING_ELSE is not a known variable"),
        ("YUANTUS_", "YUANTUS_ is not a known variable"),
    ] {
        let error = refused(&[(name, "1"), ("PATH", "/")]);
        assert!(error.starts_with(&format!("invalid configuration: {expected}")), "{error}");
    }
    let unknown = load_file(Some(file("[worker]\nlease = 1\n").path()), &[]).unwrap_err();
    assert_eq!(unknown.to_string(), "invalid configuration: worker.lease is not a known key");
}

#[test]
fn variables_of_the_command_line_and_of_neighbours_are_left_alone() {
    let loaded = load(&[
        ("YUANTUS_SERVER", "http://x"),
        ("YUANTUS_CRASH_AT", "x"),
        ("YUANTUS_PORT", "tcp://10.0.0.1:7910"),
        ("YUANTUS_SERVICE_HOST", "10.0.0.1"),
        ("YUANTUS_SERVICE_PORT_HTTP", "7910"),
        ("YUANTUS_API_PORT", "tcp://10.0.0.1:7910"),
        ("YUANTUS_API_PORT_7910_TCP", "tcp://10.0.0.1:7910"),
        ("YUANTUS_API_PORT_7910_TCP_ADDR", "10.0.0.1"),
        ("YUANTUS_API_PORT_7910_TCP_PROTO", "tcp"),
    ])
    .unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.config.server.listen.port(), 7910);
    let loaded = load(&[("YUANTUS_QUOTA_MODE", "soft")]).unwrap();
    assert_eq!(loaded.warnings, ["YUANTUS_QUOTA_MODE is not used by this version"]);
}

#[test]
fn a_file_that_others_can_write_or_whose_secrets_they_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let plain = "[worker]\nlease_seconds = 40\n";
    let secret = format!("[secrets]\nkey = \"{KEY}\"\n");
    let url = "[identity]\ndatabase_url = \"postgresql://u:hunter2@h/x\"\n";
    let no_password = "[identity]\ndatabase_url = \"postgresql://u@h/x\"\n";
    for (text, mode, expected) in [
        (plain, 0o644, None),
        (plain, 0o664, None),
        (plain, 0o646, Some("can be written by everybody")),
        (&secret, 0o600, None),
        (&secret, 0o440, None),
        (&secret, 0o644, Some("can be read by everybody")),
        (&secret, 0o660, Some("can be written by others")),
        (url, 0o644, Some("can be read by everybody")),
        (no_password, 0o644, None),
    ] {
        let file = file(text);
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(file.path(), permissions).unwrap();
        match (load_file(Some(file.path()), &[]), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{error}");
                assert!(error.contains(&file.path().display().to_string()), "{error}");
            }
            (loaded, expected) => panic!("{text} {mode:o}: {expected:?}: {loaded:?}"),
        }
    }
}

#[test]
fn a_rule_that_is_broken_is_named_with_its_key() {
    let cases: &[(&str, &str, &str)] = &[
        ("YUANTUS_WORKER__HEARTBEAT_SECONDS", "30", "worker.heartbeat_seconds must be less than"),
        ("YUANTUS_WORKER__LEASE_SECONDS", "nan", "worker.lease_seconds must be positive"),
        ("YUANTUS_WORKER__CONCURRENCY", "0", "worker.concurrency must be positive"),
        ("YUANTUS_WORKER__CONCURRENCY", "many", "worker.concurrency must be"),
        ("YUANTUS_AUDIT_ENABLED", "perhaps", "audit.enabled must be"),
        ("YUANTUS_AUDIT_RETENTION_DAYS", "-1", "audit.retention_days must be"),
        ("YUANTUS_SECRET_KEY", "c2hvcnQ=", "secrets.key must be base64 of 32 bytes"),
        (
            "YUANTUS_PREVIOUS_SECRET_KEYS",
            "c2hvcnQ=",
            "secrets.previous_keys must each be base64 of 32 bytes",
        ),
        ("YUANTUS_JWT_SECRET_KEY", "short", "auth.jwt_secret must have at least 32 bytes"),
        ("YUANTUS_AUTH_MODE", "sometimes", "auth.mode must be required or disabled"),
        ("YUANTUS_TENANCY_MODE", "single", "tenancy_mode must be db-per-tenant-org"),
        ("YUANTUS_PLATFORM_TENANT_ID", "root", "tenancy.platform_tenant_id must be platform"),
        ("YUANTUS_STORAGE_TYPE", "local", "storage.type must be s3"),
        ("YUANTUS_S3_ENDPOINT_URL", "localhost:9000", "storage.endpoint_url must be a URL such as"),
        ("YUANTUS_S3_ENDPOINT_URL", "s3.example.org", "storage.endpoint_url must be a URL such as"),
        ("YUANTUS_S3_ENDPOINT_URL", "http://u:p@h", "storage.endpoint_url must be a URL such as"),
        (
            "YUANTUS_S3_PUBLIC_ENDPOINT_URL",
            "h:9000",
            "storage.public_endpoint_url must be a URL such as",
        ),
        ("YUANTUS_S3_BUCKET_NAME", "My_Bucket", "storage.bucket must be 3 to 63"),
        ("YUANTUS_S3_BUCKET_NAME", "a..b", "storage.bucket must be 3 to 63"),
        ("YUANTUS_S3_BUCKET_NAME", "10.0.0.1", "storage.bucket must be 3 to 63"),
        ("YUANTUS_S3_BUCKET_NAME", "-ab", "storage.bucket must be 3 to 63"),
        ("YUANTUS_S3_BUCKET_NAME", "", "storage.bucket must be 3 to 63"),
        (
            "YUANTUS_DATABASE_URL_TEMPLATE",
            "postgresql://u@h/x",
            "tenants.database_url_template must hold",
        ),
        (
            "YUANTUS_IDENTITY_DATABASE_URL",
            "mysql://h/x",
            "identity.database_url must be a postgresql",
        ),
    ];
    for (name, text, expected) in cases {
        let error = refused(&[(name, text)]);
        assert!(error.contains(expected), "{name}={text}: {error}");
    }
}

#[test]
fn the_identity_database_is_not_named_like_one_of_the_tenants() {
    let template = ("YUANTUS_DATABASE_URL_TEMPLATE", "postgresql://h/app__{tenant_id}__{org_id}");
    let rule = "identity.database_url must not name a database as orgs' databases";
    for name in ["app__acme__hq", "app__a__b__0123456789", "yuantus_mt_old__1", "yuantus_mt_x"] {
        let url = format!("postgresql://h/{name}");
        let error = refused(&[template, ("YUANTUS_IDENTITY_DATABASE_URL", &url)]);
        assert!(error.contains(rule), "{name}: {error}");
    }
    for name in ["app", "app__identity", "yuantus_identity_mt_pg"] {
        let url = format!("postgresql://h/{name}");
        load(&[template, ("YUANTUS_IDENTITY_DATABASE_URL", &url)]).unwrap();
    }
}

#[test]
fn authentication_is_disabled_only_where_nobody_else_can_call() {
    let disabled = ("YUANTUS_AUTH_MODE", "disabled");
    assert!(load(&[disabled]).is_ok());
    assert!(load(&[disabled, ("YUANTUS_HOST", "0.0.0.0"), ("YUANTUS_ENVIRONMENT", "dev")]).is_ok());
    assert!(
        refused(&[disabled, ("YUANTUS_HOST", "0.0.0.0")])
            .contains("auth.mode may be disabled only")
    );
}

#[test]
fn a_process_says_all_that_it_lacks_at_once() {
    let config = load(&[("YUANTUS_SECRET_KEY", KEY)]).unwrap().config;
    let error = config.require(Purpose::Api).unwrap_err();
    let Error::Invalid { problems } = &error else { panic!("{error}") };
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "identity.database_url",
            "tenants.database_url_template",
            "storage.access_key_id",
            "storage.secret_access_key",
            "auth.jwt_secret"
        ]
    );
}

#[test]
fn no_error_and_no_debug_output_holds_a_secret() {
    let secret = "hunter2-hunter2-hunter2-hunter2-";
    let config = load(&[
        ("YUANTUS_JWT_SECRET_KEY", secret),
        ("YUANTUS_S3_SECRET_ACCESS_KEY", secret),
        ("YUANTUS_DATABASE_URL", "postgresql://u:hunter2@h/x"),
        ("YUANTUS_SECRET_KEY", KEY),
    ])
    .unwrap()
    .config;
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains(KEY), "{shown}");
    let bad = [
        file("[auth]\njwt_secret = 271828\n"),
        file("[auth]\njwt_secret = [\"hunter2\"]\n"),
        file("[auth]\njwt_secret = \"hunter2\n"),
        file("[identity]\ndatabase_url = \"hunter2\"\n"),
    ];
    for file in bad {
        let error = load_file(Some(file.path()), &[]).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("271828"), "{shown}");
    }
}

#[test]
fn a_file_that_is_not_there_or_not_toml_is_named() {
    let missing = load_file(Some(Path::new("/nonexistent/yuantus.toml")), &[]).unwrap_err();
    assert!(matches!(missing, Error::ReadFile { .. }), "{missing}");
    let broken = load_file(Some(file("[worker]\nlease_seconds = = 3\n").path()), &[]).unwrap_err();
    assert!(broken.to_string().contains("line 2"), "{broken}");
}

#[test]
fn origins_are_a_list_and_exactly_what_browsers_send() {
    let origins = |text: &str| load(&[("YUANTUS_CORS_ORIGINS", text)]);
    let two = "https://console.example.org, http://localhost:5173";
    let config = origins(two).unwrap().config;
    assert_eq!(config.server.cors_origins, two.split(", ").collect::<Vec<_>>());
    assert_eq!(origins("*").unwrap().config.server.cors_origins, ["*"]);
    assert!(origins("").unwrap().config.server.cors_origins.is_empty());
    for wrong in ["console.example.org", "https://x/", "https://X", "ftp://x", "*,https://x"] {
        let error = origins(wrong).unwrap_err().to_string();
        assert!(error.contains("server.cors_origins must be origins"), "{wrong}: {error}");
    }
    let file = file("[server]\ncors_origins = [\"https://a.example\"]\n");
    let config = load_file(Some(file.path()), &[]).unwrap().config;
    assert_eq!(config.server.cors_origins, ["https://a.example"]);
    assert!(
        refused(&[("YUANTUS_SERVER__REQUEST_TIMEOUT_SECONDS", "0")])
            .contains("server.request_timeout_seconds must be positive")
    );
}

#[test]
fn tls_needs_its_files_together() {
    let (certificate, key) = (("YUANTUS_TLS_CERTIFICATE", "c.pem"), ("YUANTUS_TLS_KEY", "k.pem"));
    let server = load(&[certificate, key]).unwrap().config.server;
    assert_eq!(server.tls_certificate.as_deref(), Some(Path::new("c.pem")));
    assert_eq!(load(&[]).unwrap().config.server.tls_certificate, None);
    assert!(refused(&[certificate]).contains("server.tls_key must be set"));
    assert!(refused(&[key]).contains("server.tls_certificate must be set"));
    let authority = ("YUANTUS_TLS_CLIENT_CA", "ca.pem");
    assert!(refused(&[authority]).contains("server.tls_client_ca can be used only with"));
    let required = ("YUANTUS_TLS_CLIENT_CERTIFICATES", "required");
    assert!(refused(&[certificate, key, required]).contains("server.tls_client_ca must be set"));
    load(&[certificate, key, authority, required]).unwrap();
    let odd = ("YUANTUS_TLS_CLIENT_CERTIFICATES", "perhaps");
    assert!(refused(&[certificate, key, authority, odd]).contains("must be"));
}

#[test]
fn metrics_are_shown_where_asked_and_nowhere_by_default() {
    let metrics = load(&[]).unwrap().config.metrics;
    assert_eq!((metrics.listen, metrics.worker_listen), (None, None));
    let metrics = load(&[("YUANTUS_METRICS_LISTEN", "127.0.0.1:9464")]).unwrap().config.metrics;
    assert_eq!(metrics.listen.unwrap().to_string(), "127.0.0.1:9464");
    let refused = refused(&[("YUANTUS_METRICS_LISTEN", "9464")]);
    assert!(refused.contains("metrics.listen must be an IP address and port"), "{refused}");
}
