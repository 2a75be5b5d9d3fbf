use std::sync::{
    Arc, Weak,
    atomic::{AtomicU32, Ordering},
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow},
};
use tempfile::TempDir;
use tokio::sync::Mutex;
use yuantus_domain::DatabaseName;
use yuantus_postgres::{
    Ahead, Assigned, Assignment, Kind, LaneSession, Marker, PrivateServer, PrivateServerSettings,
    Server, Spare,
};

pub const PLANE: &str = "00000000-0000-4000-8000-000000000001";

/// A server that lives as long as one test holds it.
pub struct Shared {
    private: PrivateServer,
    _directory: TempDir,
}

static SHARED: Mutex<Weak<Shared>> = Mutex::const_new(Weak::new());
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// What a test works with: the shared server, and names nobody else has.
pub struct Fixture {
    pub server: Server,
    pub private: Arc<Shared>,
    unique: u32,
}

pub fn settings(directory: &TempDir) -> PrivateServerSettings {
    PrivateServerSettings {
        data_dir: directory.path().to_owned(),
        port: None,
        extra_settings: Vec::new(),
        durable: false,
    }
}

impl Fixture {
    pub async fn new() -> Self {
        let mut shared = SHARED.lock().await;
        let private = match shared.upgrade() {
            Some(running) => running,
            None => {
                let directory = tempfile::tempdir().unwrap();
                let private = PrivateServer::start(settings(&directory)).await.unwrap();
                Arc::new(Shared { private, _directory: directory })
            }
        };
        *shared = Arc::downgrade(&private);
        let server = Server::new(&private.private.admin_url()).unwrap();
        server.bootstrap().await.unwrap();
        Self { server, private, unique: NUMBER.fetch_add(1, Ordering::Relaxed) }
    }

    /// The same, spoken to by an administrator who is no superuser.
    pub async fn without_superuser() -> Self {
        let mut fixture = Self::new().await;
        let plane = format!("plane-{}", fixture.unique);
        let sql = format!(
            "CREATE ROLE \"{plane}\" LOGIN CREATEDB CREATEROLE PASSWORD 'plane' \
             IN ROLE pg_signal_backend; \
             GRANT CONNECT ON DATABASE postgres TO \"{plane}\"; SELECT 1"
        );
        let _: i32 = fixture.ask(&sql).await;
        let mut url = fixture.url();
        url.set_username(&plane).unwrap();
        url.set_password(Some("plane")).unwrap();
        fixture.server = Server::new(&url).unwrap();
        fixture.server.bootstrap().await.unwrap();
        fixture
    }

    pub fn url(&self) -> url::Url {
        self.private.private.admin_url()
    }

    pub fn name(&self, what: &str) -> DatabaseName {
        DatabaseName::parse(&format!("{what}-{}", self.unique)).unwrap()
    }

    pub fn lane_name(&self, org: &str) -> String {
        format!("tenant-{}/{org}", self.unique)
    }

    pub async fn lane(&self, org: &str) -> LaneSession {
        self.server.open_lane(&self.lane_name(org), 1).await.unwrap()
    }

    pub fn assignment(&self, org: &str) -> Assignment {
        let role = format!("role-{org}-{}", self.unique);
        Assignment {
            database: self.name(&format!("yuantus__{org}")),
            password: password(&role),
            role,
            connection_limit: 20,
            statement_timeout_seconds: 60,
            marker: Marker {
                operation: Some(format!("operation-{org}")),
                owner: Some(self.lane_name(org)),
                ..marker(Kind::Tenant)
            },
            ready_at: None,
        }
    }

    /// A template with one table, sealed.
    pub async fn template(&self) -> DatabaseName {
        let name = self.name("template");
        let mut lane = self.lane("template").await;
        lane.create_blank(&name, &marker(Kind::Template)).await.unwrap();
        let mut owner = self.server.access(&name, lane.tag()).connect().await.unwrap();
        run(&mut owner, "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, text text)")
            .await
            .unwrap();
        owner.close().await.unwrap();
        lane.seal_template(&name).await.unwrap();
        lane.close().await;
        name
    }

    /// A clone of the template that waits to be assigned.
    pub async fn spare(&self, template: &DatabaseName, what: &str) -> DatabaseName {
        let name = self.name(what);
        let mut lane = self.lane(what).await;
        lane.clone_template(template, &name, &marker(Kind::Spare), Ahead::Nothing).await.unwrap();
        lane.close().await;
        name
    }

    /// An org with its own database.
    pub async fn assigned(&self, template: &DatabaseName, org: &str) -> Assignment {
        let spare = self.spare(template, &format!("spare-{org}")).await;
        let assignment = self.assignment(org);
        let mut lane = self.lane(org).await;
        assert!(take(&mut lane, &spare, &assignment).await);
        lane.close().await;
        assignment
    }

    /// Connects as the tenant would.
    pub async fn log_in(
        &self,
        assignment: &Assignment,
        database: &DatabaseName,
    ) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.tenant_options(assignment, database)).await
    }

    pub fn tenant_options(
        &self,
        assignment: &Assignment,
        database: &DatabaseName,
    ) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.server.port())
            .username(&assignment.role)
            .password(assignment.password.expose_secret())
            .database(database.as_str())
    }

    /// Connects as the administrator.
    pub async fn admin(&self, database: &DatabaseName) -> PgConnection {
        let mut url = self.url();
        url.set_path(database.as_str());
        PgConnection::connect(url.as_str()).await.unwrap()
    }

    /// What the first column of a query in the maintenance database says.
    pub async fn ask<T>(&self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let mut connection = PgConnection::connect(self.url().as_str()).await.unwrap();
        run(&mut connection, sql).await.unwrap()[0].get(0)
    }
}

/// Makes a spare the org's database; whether it could be had.
pub async fn take(lane: &mut LaneSession, spare: &DatabaseName, assignment: &Assignment) -> bool {
    let spares = vec![Spare { name: spare.clone(), bundle: None, role_key: None }];
    lane.assign_first(spares, assignment).await.unwrap() != Assigned::Nothing
}

pub fn marker(kind: Kind) -> Marker {
    Marker {
        plane: PLANE.to_owned(),
        kind,
        fingerprint: "f".repeat(64),
        operation: None,
        owner: None,
        role: None,
        claim: None,
        in_use: false,
    }
}

pub async fn run(connection: &mut PgConnection, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await
}

/// The SQLSTATE of a refusal.
pub fn refusal<T>(outcome: Result<T, sqlx::Error>) -> String {
    let error = outcome.err().expect("to be refused");
    error.as_database_error().and_then(|answer| answer.code()).expect("an answer").into_owned()
}

/// The password of a role of the tests.
fn password(role: &str) -> SecretString {
    SecretString::from(format!("password-of-{role}"))
}
