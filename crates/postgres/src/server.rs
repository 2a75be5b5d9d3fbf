//! One PostgreSQL server, spoken to as its administrator: PostgreSQL 15 or
//! newer, a superuser, or a role with CREATEDB, CREATEROLE and
//! `pg_signal_backend`.
//!
//! Invariant: no call hangs. Connecting and every catalog statement is
//! bounded, so a server that stopped is a transient error, said soon.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::task::TaskTracker;
use url::Url;
use yuantus_domain::DatabaseName;

use crate::{
    DatabaseAccess, Error, LaneTag, Result,
    idle::Idle,
    session::{Doing, SHORT, Session},
};

const CONNECT: Duration = Duration::from_secs(5);
const PING: Duration = Duration::from_secs(2);

/// How many catalog reads one `Server` runs at a time.
const CATALOG_READS: usize = 4;

/// Settings of every session of ours. A client that vanished is noticed, and
/// limits that a server sets for its users do not end our long work.
pub(crate) const SESSION_SETTINGS: [(&str, &str); 8] = [
    ("client_connection_check_interval", "5s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("statement_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("lock_timeout", "30s"),
];

/// As [`SESSION_SETTINGS`], of servers that know it; others refuse a session
/// that names it.
const TRANSACTION_TIMEOUT: (&str, &str) = ("transaction_timeout", "0");
/// The first version that knows it, as `server_version_num`.
const WITH_TRANSACTION_TIMEOUT: u32 = 170_000;
/// SQLSTATE of a setting that the server does not know.
const UNKNOWN_SETTING: &[&str] = &["42704"];

/// One server. Clones share its idle sessions.
#[derive(Clone)]
pub struct Server {
    pub(crate) url: Arc<Url>,
    options: Arc<PgConnectOptions>,
    idle: Idle,
    reads: Arc<Semaphore>,
    /// `server_version_num` as the newest session said; 0 before the first.
    version: Arc<AtomicU32>,
    /// Whose lanes are opened.
    pub(crate) plane: Arc<str>,
    /// Lanes that are being given back. Whoever takes one ends what is left of
    /// its former holder, so nobody waits for them.
    pub(crate) closing: TaskTracker,
}

impl Server {
    /// Takes `postgresql://user:password@host:port/maintenance_database`,
    /// with libpq's parameters such as `sslmode`. Connects to nothing yet.
    pub fn new(admin_url: &Url) -> Result<Self> {
        let options = PgConnectOptions::from_str(admin_url.as_str())
            .map_err(|source| Error::Url { source })?
            .options(SESSION_SETTINGS)
            .disable_statement_logging();
        Ok(Self {
            url: Arc::new(admin_url.clone()),
            options: Arc::new(options),
            idle: Idle::default(),
            reads: Arc::new(Semaphore::new(CATALOG_READS)),
            version: Arc::default(),
            plane: Arc::default(),
            closing: TaskTracker::new(),
        })
    }

    /// The same, for the lanes of this control plane: others may be on the
    /// server too.
    pub fn of_plane(self, plane: &str) -> Self {
        Self { plane: plane.into(), ..self }
    }

    /// The server's host, or its socket directory.
    pub fn host(&self) -> &str {
        match self.options.get_socket() {
            Some(directory) => directory.to_str().unwrap_or_default(),
            None => self.options.get_host(),
        }
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.options.get_port()
    }

    /// Whether the server answers, within 2 s.
    pub async fn ping(&self) -> Result<()> {
        let doing = Doing("ping", self.host());
        let answer = self.read(doing, "SELECT 1".to_owned());
        let late =
            || Error::Timeout { operation: doing.0, subject: doing.1.to_owned(), after: PING };
        timeout(PING, answer).await.map_err(|_| late())?.map(drop)
    }

    /// The server's version, such as `15.18`.
    pub async fn version(&self) -> Result<String> {
        let doing = Doing("read the version of", self.host());
        let rows = self.read(doing, "SHOW server_version".to_owned()).await?;
        let version: String = first(&rows, doing)?;
        Ok(version.split(' ').next().unwrap_or_default().to_owned())
    }

    /// How an operation connects to one database of this server.
    pub fn access(&self, database: &DatabaseName, tag: &LaneTag) -> DatabaseAccess {
        DatabaseAccess::new(self.clone(), database.clone(), tag.clone())
    }

    /// The options of a session to `database`, or to the maintenance database.
    pub(crate) fn options(&self, database: Option<&DatabaseName>) -> PgConnectOptions {
        let mut options = (*self.options).clone();
        if self.has_transaction_timeout() {
            options = options.options([TRANSACTION_TIMEOUT]);
        }
        match database {
            Some(name) => options.database(name.as_str()),
            None => options.application_name("yuantus"),
        }
    }

    /// The administrator's role.
    pub(crate) fn user(&self) -> &str {
        self.options.get_username()
    }

    /// The settings of [`SESSION_SETTINGS`] that this server knows besides.
    pub(crate) fn more_settings(&self) -> Option<(&'static str, &'static str)> {
        self.has_transaction_timeout().then_some(TRANSACTION_TIMEOUT)
    }

    /// Whether the server, as far as is known, has a limit for transactions.
    fn has_transaction_timeout(&self) -> bool {
        self.version.load(Ordering::Relaxed) >= WITH_TRANSACTION_TIMEOUT
    }

    /// Opens a session, within 5 s.
    pub(crate) async fn connect(&self, options: &PgConnectOptions) -> Result<PgConnection> {
        let database = options.get_database().unwrap_or(self.user());
        let after = CONNECT;
        match timeout(after, self.open(options)).await {
            Ok(answer) => answer.map_err(|source| Error::Connect {
                host: self.host().to_owned(),
                port: self.port(),
                database: database.to_owned(),
                source,
            }),
            Err(_) => {
                Err(Error::Timeout { operation: "connect to", subject: database.to_owned(), after })
            }
        }
        .inspect_err(|error| {
            // A server of an older version took its place: the next session
            // asks again.
            if error.is_sqlstate(UNKNOWN_SETTING) {
                self.version.store(0, Ordering::Relaxed);
            }
        })
    }

    /// Opens a session without a limit for its transactions. The first one of a
    /// server learns there whether such a limit exists, and is opened anew: what
    /// a session begins with, `RESET ALL` leaves as it is.
    async fn open(&self, options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
        let connection = PgConnection::connect_with(options).await?;
        self.version.store(connection.server_version_num().unwrap_or(0), Ordering::Relaxed);
        let given = options.get_options().is_some_and(|all| all.contains(TRANSACTION_TIMEOUT.0));
        if given || !self.has_transaction_timeout() {
            return Ok(connection);
        }
        connection.close().await?;
        PgConnection::connect_with(&options.clone().options([TRANSACTION_TIMEOUT])).await
    }

    /// Begins a conversation with the maintenance database: `sql` is its first
    /// statement. An idle session that turns out to be dead is replaced.
    pub(crate) async fn begin(
        &self,
        doing: Doing<'_>,
        sql: &str,
        limit: Duration,
    ) -> Result<(Session, Vec<PgRow>)> {
        if let Some(mut session) = self.idle.take() {
            match session.run(doing, sql.to_owned(), limit).await {
                Ok(rows) => return Ok((session, rows)),
                Err(error) if error.is_transient() => self.idle.clear(),
                Err(error) => return Err(error),
            }
        }
        let mut session = Session::new(self.connect(&self.options(None)).await?);
        let rows = session.run(doing, sql.to_owned(), limit).await?;
        Ok((session, rows))
    }

    /// One read of the catalog of the maintenance database.
    pub(crate) async fn read(&self, doing: Doing<'_>, sql: String) -> Result<Vec<PgRow>> {
        // The semaphore is never closed.
        let _permit = self.reads.acquire().await.ok();
        let (session, rows) = self.begin(doing, &sql, SHORT).await?;
        self.idle.keep(session);
        Ok(rows)
    }

    /// Takes a session back for others to use.
    pub(crate) fn keep(&self, session: Session) {
        self.idle.keep(session);
    }
}

/// The first column of the first row.
pub(crate) fn first<'r, T>(rows: &'r [PgRow], doing: Doing<'_>) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let row = rows.first().ok_or_else(|| doing.failed(sqlx::Error::RowNotFound))?;
    row.try_get(0).map_err(|source| doing.failed(source))
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({}:{})", self.host(), self.port())
    }
}
