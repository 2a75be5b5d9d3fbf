//! One private PostgreSQL for all tests of this file, a database for each.

use std::{
    path::Path,
    sync::{Arc, Mutex, Weak},
};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;
use yuantus_domain::DatabaseName;
use yuantus_postgres::{
    DatabaseAccess, Kind, Marker, PrivateServer, PrivateServerSettings, Server,
};
use yuantus_tenant_schema::{Bundle, Error, Report, Result, migrate};

/// The server ends with the last test that uses it.
static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

pub struct Postgres {
    runtime: Runtime,
    pub server: Server,
    process: Option<PrivateServer>,
    _directory: TempDir,
}

impl Postgres {
    fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *shared = Arc::downgrade(&started);
            started
        })
    }

    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let settings = PrivateServerSettings {
            data_dir: directory.path().to_owned(),
            port: None,
            extra_settings: Vec::new(),
            durable: false,
        };
        let (process, server) = runtime.block_on(async {
            let process = PrivateServer::start(settings).await.unwrap();
            let server = Server::new(&process.admin_url()).unwrap();
            server.bootstrap().await.unwrap();
            (process, server)
        });
        Self { runtime, server, process: Some(process), _directory: directory }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.runtime.block_on(process.stop()).unwrap();
        }
    }
}

/// A fresh database, and a directory to put migrations into.
pub struct Fixture {
    pub access: DatabaseAccess,
    pub directory: TempDir,
}

/// Runs a test with a fixture of its own.
pub fn with_database(test: impl AsyncFnOnce(Fixture)) {
    let postgres = Postgres::shared();
    postgres.runtime.block_on(async {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let database = DatabaseName::parse(&name).unwrap();
        let marker = Marker {
            plane: Uuid::nil().to_string(),
            kind: Kind::Tenant,
            fingerprint: String::new(),
            operation: None,
            owner: None,
            role: None,
            claim: None,
            in_use: false,
        };
        let mut lane = postgres.server.open_lane(&name, 1).await.unwrap();
        lane.create_blank(&database, &marker).await.unwrap();
        let access = postgres.server.access(&database, lane.tag());
        lane.close().await;
        test(Fixture { access, directory: tempfile::tempdir().unwrap() }).await;
    });
}

impl Fixture {
    /// Writes a file of the bundle.
    pub fn file(&self, name: &str, text: &str) -> &Self {
        write(self.directory.path(), name, text);
        self
    }

    /// Migrates to what the directory holds now.
    pub async fn migrate(&self) -> Result<Report> {
        let bundle = Bundle::load(self.directory.path()).unwrap();
        migrate(&bundle, &self.access, &|_, _| {}).await
    }

    /// Migrates, expecting a failure, and shows it with its causes.
    pub async fn refused(&self) -> (Error, String) {
        let error = self.migrate().await.unwrap_err();
        let mut shown = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            shown += &format!(": {cause}");
            source = cause.source();
        }
        (error, shown)
    }

    /// A session of the owner's.
    pub async fn session(&self) -> PgConnection {
        self.access.connect().await.unwrap()
    }

    /// One value, as text.
    pub async fn ask(&self, sql: &'static str) -> String {
        let mut session = self.session().await;
        let answer: Option<String> = sqlx::query_scalar(sql).fetch_one(&mut session).await.unwrap();
        session.close().await.unwrap();
        answer.unwrap_or_default()
    }

    /// Runs SQL as the owner.
    pub async fn run(&self, sql: &'static str) {
        let mut session = self.session().await;
        sqlx::raw_sql(sql).execute(&mut session).await.unwrap();
        session.close().await.unwrap();
    }
}

pub fn write(directory: &Path, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(directory.join(name), text).unwrap();
}
