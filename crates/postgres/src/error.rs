//! What can go wrong between us and a PostgreSQL server, and whether the same
//! thing may work later.

use std::{io, path::PathBuf, time::Duration};

use crate::transience::{of_answer, of_child};

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Names the operation and its subject; the cause is the source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a name PostgreSQL takes.
    #[error("`{name}` is no PostgreSQL identifier: it must have 1 to 63 bytes")]
    Identifier {
        /// What was given.
        name: String,
    },
    /// The server's URL cannot be used.
    #[error("cannot use the URL of the PostgreSQL server")]
    Url {
        /// Why.
        source: sqlx::Error,
    },
    /// No connection came about.
    #[error("cannot connect to database `{database}` on {host}:{port}")]
    Connect {
        /// The server's host.
        host: String,
        /// The server's port.
        port: u16,
        /// The database.
        database: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error("cannot {operation} `{subject}`")]
    Statement {
        /// What was being done, as a verb and its object.
        operation: &'static str,
        /// To what.
        subject: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The system's libraries were changed, and a database that is to be cloned
    /// was made with the former ones.
    #[error(
        "cannot make databases from `{template}`: the server's collation version has changed \
         since it was made; run `ALTER DATABASE {template} REFRESH COLLATION VERSION`, and in \
         every other database `REINDEX DATABASE` before it"
    )]
    StaleCollation {
        /// What was to be cloned.
        template: String,
        /// What the server said.
        source: sqlx::Error,
    },
    /// The server did not answer in time.
    #[error("cannot {operation} `{subject}`: no answer within {} s", .after.as_secs())]
    Timeout {
        /// What was being done.
        operation: &'static str,
        /// To what.
        subject: String,
        /// How long was waited.
        after: Duration,
    },
    /// A newer holder of the lane is at work: this one must stop.
    #[error("lane `{lane}` was taken over: its epoch is {newest}, ours {epoch}")]
    Superseded {
        /// The lane.
        lane: String,
        /// Ours.
        epoch: i64,
        /// The one that is at work.
        newest: i64,
    },
    /// Sessions of the lane's former holder would not end in time.
    #[error("lane `{lane}` is still held by a session of a former holder")]
    LaneBusy {
        /// The lane.
        lane: String,
    },
    /// A former call on this session was abandoned half-way.
    #[error("the session of lane `{lane}` was interrupted and cannot be used again")]
    Interrupted {
        /// The lane.
        lane: String,
    },
    /// A database that this plane did not provably make.
    #[error("database `{database}` was not made by this plane")]
    Foreign {
        /// The database.
        database: String,
    },
    /// The name is taken by another database of ours.
    #[error("database `{database}` exists already")]
    NameTaken {
        /// The database.
        database: String,
    },
    /// The database is not there.
    #[error("database `{database}` does not exist")]
    Missing {
        /// The database.
        database: String,
    },
    /// A database of ours that is not of the kind the operation works on.
    #[error("database `{database}` is a {found} database, not a {wanted} one")]
    WrongKind {
        /// The database.
        database: String,
        /// Its kind.
        found: &'static str,
        /// The kind needed.
        wanted: &'static str,
    },
    /// The server remembers a claim that the identity database does not.
    #[error(
        "database `{database}` was claimed with epoch {newest}, ours is {epoch}: \
         the identity database is older than the server"
    )]
    Behind {
        /// The database.
        database: String,
        /// Ours.
        epoch: i64,
        /// The newest that the server remembers.
        newest: i64,
    },
    /// A database that an org has, or had, is not dropped.
    #[error("database `{database}` is in use: it is not dropped")]
    InUse {
        /// The database.
        database: String,
    },
    /// A program of PostgreSQL is not installed.
    #[error("`{program}` was found neither in PATH nor in /usr/lib/postgresql/*/bin")]
    ToolMissing {
        /// The program.
        program: &'static str,
    },
    /// A program of PostgreSQL is installed, but not of the server's version.
    #[error(
        "`{program}` of PostgreSQL {major}, which the server is, was found neither in PATH nor in \
         /usr/lib/postgresql/*/bin or /usr/pgsql-*/bin: install the client programs of \
         PostgreSQL {major} (there are {found})"
    )]
    ToolVersion {
        /// The program.
        program: &'static str,
        /// The server's major version.
        major: u32,
        /// The versions that were found, and where.
        found: String,
    },
    /// The administrator may not read, or not give back, what is in a database.
    #[error("database `{database}` cannot be dumped by this administrator: {}", .problems.join("; "))]
    NotDumpable {
        /// The database.
        database: String,
        /// Each names an object, and what to grant or change.
        problems: Vec<String>,
    },
    /// A child process could not be started or spoken to.
    #[error("cannot {operation} `{program}`")]
    Process {
        /// What was being done: start, read from, write to, wait for.
        operation: &'static str,
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A child process said that it failed.
    #[error("`{program}` of database `{database}` ended with {status}: {stderr}")]
    Child {
        /// The program.
        program: &'static str,
        /// The database.
        database: String,
        /// Exit status or signal.
        status: String,
        /// The last lines it wrote.
        stderr: String,
    },
    /// What was to be restored could not be read.
    #[error("cannot read the dump that is being restored into `{database}`")]
    Input {
        /// The database.
        database: String,
        /// Why.
        source: io::Error,
    },
    /// A private server's file could not be used.
    #[error("cannot {operation} {}", .path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process runs a private server in this directory.
    #[error("the PostgreSQL in {} is run by another process", .path.display())]
    DirectoryInUse {
        /// The directory.
        path: PathBuf,
    },
    /// PostgreSQL refuses to run as root, and the user that it is to run as
    /// cannot reach the directory.
    #[error("user `{user}` cannot reach {}: allow it with `chmod o+x`, or use a directory elsewhere", .path.display())]
    Unreachable {
        /// The directory that is closed.
        path: PathBuf,
        /// The user PostgreSQL runs as.
        user: String,
    },
    /// We are root and there is nobody to run PostgreSQL as.
    #[error("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")]
    NoUnprivilegedUser,
    /// A private server did not come up.
    #[error("PostgreSQL in {} did not start: {log}", .path.display())]
    NotStarted {
        /// The data directory.
        path: PathBuf,
        /// The last lines of its log.
        log: String,
    },
}

impl Error {
    /// Whether the same call may succeed later with nothing changed: the
    /// server is away, full or busy, or a child process was cut off.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { source, .. } | Self::Statement { source, .. } => of_answer(source),
            Self::Child { stderr, status, .. } => of_child(status, stderr),
            Self::Timeout { .. }
            | Self::LaneBusy { .. }
            | Self::Interrupted { .. }
            | Self::Process { .. }
            | Self::Input { .. } => true,
            Self::Identifier { .. }
            | Self::Url { .. }
            | Self::StaleCollation { .. }
            | Self::Superseded { .. }
            | Self::Foreign { .. }
            | Self::NameTaken { .. }
            | Self::Missing { .. }
            | Self::WrongKind { .. }
            | Self::Behind { .. }
            | Self::InUse { .. }
            | Self::ToolMissing { .. }
            | Self::ToolVersion { .. }
            | Self::NotDumpable { .. }
            | Self::File { .. }
            | Self::DirectoryInUse { .. }
            | Self::Unreachable { .. }
            | Self::NoUnprivilegedUser
            | Self::NotStarted { .. } => false,
        }
    }

    /// The SQLSTATE the server answered with.
    pub fn sqlstate(&self) -> Option<String> {
        match self {
            Self::Connect { source, .. } | Self::Statement { source, .. } => {
                let code = source.as_database_error().and_then(|answer| answer.code());
                code.map(|code| code.into_owned())
            }
            _ => None,
        }
    }

    pub(crate) fn is_sqlstate(&self, codes: &[&str]) -> bool {
        self.sqlstate().is_some_and(|code| codes.contains(&code.as_str()))
    }
}
