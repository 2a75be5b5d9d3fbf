//! One test's own servers and configuration.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use url::Url;
use yuantus_postgres::{
    Tools,
    private_server::{PrivateServer, PrivateServerSettings},
};
use yuantus_storage::{
    ObjectStore, S3Settings,
    local_server::{LocalS3, LocalS3Settings},
};

use crate::{Api, Child, Ran, run};

/// How an environment differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// More variables for the binary; a later one of the same name wins.
    pub variables: Vec<(String, String)>,
    /// Whether what PostgreSQL commits survives a crash of it.
    pub durable: bool,
    /// Whether workers keep the intervals of the default configuration; tests
    /// have shorter ones.
    pub default_intervals: bool,
    /// The server's major version, of those that `scripts/postgres_versions.sh`
    /// makes; otherwise the installed one.
    pub postgres: Option<u32>,
    /// More settings of the server.
    pub postgres_settings: Vec<(String, String)>,
}

/// What tests wait for happens soon. Leases last as long as they do elsewhere:
/// a machine that stops for seconds must not take them from anybody.
const SHORT_INTERVALS: [(&str, &str); 5] = [
    ("YUANTUS_WORKER__POLL_INTERVAL_SECONDS", "0.5"),
    ("YUANTUS_WORKER__HEARTBEAT_SECONDS", "0.5"),
    ("YUANTUS_WORKER__REAPER_SECONDS", "0.5"),
    ("YUANTUS_WORKER__BACKOFF_INITIAL_SECONDS", "0.1"),
    ("YUANTUS_WORKER__BACKOFF_MAX_SECONDS", "1"),
];

/// One test's own servers and configuration.
#[derive(Debug)]
pub struct TestEnv {
    /// The server of identity and orgs' databases.
    pub postgres: PrivateServer,
    /// The bucket's server.
    pub s3: LocalS3,
    dir: TempDir,
    options: Options,
    children: AtomicU32,
}

impl TestEnv {
    /// Starts the servers and makes the identity database.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// As [`TestEnv::start`], with `options`.
    pub async fn start_with(options: Options) -> Self {
        // Clients of tests that speak TLS need to be told by which library.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let dir = tempfile::Builder::new().prefix("yuantus-test-").tempdir().expect("directory");
        // PostgreSQL runs as another user, who has to get at its directory.
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), permissions).expect("permissions");
        let tools = match options.postgres {
            Some(major) => Tools::in_directories(vec![postgres_programs(major)]),
            None => Tools::find(),
        };
        let settings = PrivateServerSettings {
            data_dir: dir.path().join("postgres"),
            port: None,
            extra_settings: options.postgres_settings.clone(),
            durable: options.durable,
        };
        let postgres = PrivateServer::start_with(settings, tools).await.expect("PostgreSQL");
        let s3 = LocalS3::start(LocalS3Settings {
            dir: dir.path().join("s3"),
            addr: ([127, 0, 0, 1], 0).into(),
            bucket: "yuantus".into(),
            access_key_id: "test-access-key".into(),
            secret_access_key: SecretString::from("test-secret-key"),
        })
        .await
        .expect("S3");
        let env = Self { postgres, s3, dir, options, children: AtomicU32::new(0) };
        let mut upgrade = env.spawn("upgrade", &["db", "upgrade"], &[]);
        assert!(upgrade.ended().await.success(), "{}", upgrade.log());
        env
    }

    /// The temporary directory, for a test's own files.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// A URL of a database on the private server, as its administrator.
    pub fn database_url(&self, database: &str) -> Url {
        let mut url = self.postgres.admin_url();
        url.set_path(database);
        url
    }

    /// Connects to a database on the private server as its administrator.
    pub async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect(self.database_url(database).as_str()).await.expect("connection")
    }

    /// Connects to the identity database.
    pub async fn identity(&self) -> PgConnection {
        self.connect("yuantus_identity").await
    }

    /// How a client of the bucket is set up.
    pub fn s3_settings(&self) -> S3Settings {
        self.s3.client_settings()
    }

    /// A client of the bucket.
    pub fn store(&self) -> ObjectStore {
        ObjectStore::new(&self.s3_settings())
    }

    /// The configuration of the binary.
    pub fn variables(&self) -> Vec<(String, String)> {
        let s3 = self.s3_settings();
        // Braces in the path of a URL would be escaped.
        let template = self.database_url("DATABASE").to_string();
        let template = template.replace("/DATABASE", "/yuantus_mt_pg__{tenant_id}__{org_id}");
        let home = self.dir.path().to_string_lossy().into_owned();
        let variables = [
            ("YUANTUS_ENVIRONMENT", "dev".into()),
            ("YUANTUS_AUTH_MODE", "disabled".into()),
            ("YUANTUS_PLATFORM_ADMIN_ENABLED", "true".into()),
            ("YUANTUS_IDENTITY_DATABASE_URL", self.database_url("yuantus_identity").to_string()),
            ("YUANTUS_DATABASE_URL_TEMPLATE", template),
            ("YUANTUS_S3_ENDPOINT_URL", s3.endpoint_url.unwrap_or_default()),
            ("YUANTUS_S3_BUCKET_NAME", s3.bucket),
            ("YUANTUS_S3_ACCESS_KEY_ID", s3.access_key_id),
            ("YUANTUS_S3_SECRET_ACCESS_KEY", s3.secret_access_key.expose_secret().into()),
            ("YUANTUS_JWT_SECRET_KEY", "a secret of the tests that is long enough".into()),
            ("YUANTUS_SECRET_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".into()),
            ("HOME", home),
            ("PATH", path()),
        ];
        let intervals = if self.options.default_intervals { &[] } else { &SHORT_INTERVALS[..] };
        let intervals = intervals.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let variables = variables.into_iter().chain(intervals);
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        variables.chain(self.options.variables.iter().cloned()).collect()
    }

    /// Starts the binary; `name` names its log.
    pub fn spawn(&self, name: &str, arguments: &[&str], more: &[(&str, &str)]) -> Child {
        let number = self.children.fetch_add(1, Ordering::Relaxed);
        let log = self.dir.path().join(format!("{number:03}-{name}.log"));
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut variables = self.variables();
        variables.extend(more);
        Child::start(&binary(), arguments, variables, &log)
    }

    /// Runs the binary to its end as a person does: with a home directory of
    /// this environment's own, and no configuration but `more`.
    pub async fn cli(&self, arguments: &[&str], more: &[(&str, &str)], stdin: &str) -> Ran {
        let home = self.dir.path().join("home");
        let own = [("HOME", &*home.to_string_lossy()), ("PATH", &path())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        run(binary(), arguments, own.into_iter().chain(more), stdin.as_bytes()).await
    }

    /// Starts the API and waits until it is ready.
    pub async fn api(&self) -> Api {
        self.api_with(&[]).await
    }

    /// As [`TestEnv::api`], with more variables.
    pub async fn api_with(&self, more: &[(&str, &str)]) -> Api {
        let arguments = ["start", "--host", "127.0.0.1", "--port", "0"];
        Api::ready(self.spawn("api", &arguments, more)).await
    }

    /// Starts a worker of this name.
    pub fn worker(&self, node: &str, more: &[(&str, &str)]) -> Child {
        let mut variables = vec![("YUANTUS_NODE_ID", node)];
        variables.extend(more);
        self.spawn(node, &["worker"], &variables)
    }
}

/// Where programs are.
#[expect(clippy::disallowed_methods, reason = "children find PostgreSQL's programs by it")]
pub fn path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// The directory of migrations of a published package, as
/// `scripts/bundle_of_a_package.sh` makes it.
pub fn published_bundle(package: &str) -> String {
    let target = binary().ancestors().nth(2).expect("target directory").to_owned();
    let bundle = target.join("bundles").join(package);
    assert!(bundle.is_dir(), "`scripts/bundle_of_a_package.sh` makes {}", bundle.display());
    bundle.to_string_lossy().into_owned()
}

/// Where the programs of a version of PostgreSQL are that
/// `scripts/postgres_versions.sh` makes.
pub fn postgres_programs(major: u32) -> PathBuf {
    let target = binary().ancestors().nth(2).expect("target directory").to_owned();
    let programs = target.join("postgresql").join(major.to_string()).join("bin");
    assert!(programs.is_dir(), "`scripts/postgres_versions.sh` makes {}", programs.display());
    programs
}

/// The binary under test: it lies beside the folder of the test binaries.
pub fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("this binary");
    let profile = tests.ancestors().nth(2).expect("the profile's directory");
    let candidate = profile.join("yuantus");
    if candidate.exists() { candidate } else { tests.with_file_name("yuantus") }
}
