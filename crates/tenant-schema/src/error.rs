//! What can be wrong with a bundle, and what can go wrong with a database.

use std::path::PathBuf;

use yuantus_domain::DatabaseName;

use crate::Cause;

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a bundle, or go wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory is not there or cannot be read.
    #[error("read the bundle's directory {}", directory.display())]
    ReadDirectory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The directory holds no `*.sql`.
    #[error("the bundle's directory {} holds no .sql file", directory.display())]
    Empty {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory holds `*.sql`, but none that goes forward.
    #[error("the bundle holds no migration that goes forward")]
    NoMigrations,
    /// A file cannot be read.
    #[error("read {file}")]
    ReadFile {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not UTF-8, or holds a NUL.
    #[error("{file}:{line}: is not UTF-8 text")]
    NotText {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// A file's name says no version.
    #[error("{file}: {rule}")]
    FileName {
        /// The file.
        file: String,
        /// What its name must be, as the rest of a sentence.
        rule: String,
    },
    /// Two conventions in one directory.
    #[error("{first} and {second} are named after different conventions")]
    MixedNames {
        /// A file.
        first: String,
        /// A file named otherwise.
        second: String,
    },
    /// Two files say the same version.
    #[error("{first} and {second} are both version {version}")]
    DuplicateVersion {
        /// The version.
        version: i64,
        /// A file.
        first: String,
        /// Another.
        second: String,
    },
    /// A number is left out.
    #[error("migration {version} is missing: the next file is {file}")]
    Gap {
        /// The version left out.
        version: i64,
        /// The file that comes instead.
        file: String,
    },
    /// A `.check.sql` whose migration is not there.
    #[error("{file}: checks a migration that is not there")]
    CheckWithoutMigration {
        /// The file.
        file: String,
    },
    /// A file holds what it may not.
    #[error("{file}:{line}: {rule}")]
    Script {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, as the rest of a sentence.
        rule: String,
    },
    /// The database cannot be reached.
    #[error("connect to database {database} to migrate it")]
    Connect {
        /// The database.
        database: DatabaseName,
        /// Why.
        source: yuantus_postgres::Error,
    },
    /// Somebody else is migrating the database.
    #[error("database {database} is being migrated by somebody else")]
    Busy {
        /// The database.
        database: DatabaseName,
    },
    /// The record of what was applied cannot be read or written.
    #[error("{action} of database {database}")]
    History {
        /// What was tried.
        action: &'static str,
        /// The database.
        database: DatabaseName,
        /// Why.
        source: Cause,
    },
    /// A migration was applied and its file changed since.
    #[error("{file}: was changed after it was applied to database {database}")]
    ChecksumChanged {
        /// The file.
        file: String,
        /// The database.
        database: DatabaseName,
    },
    /// A migration was applied that the bundle does not hold.
    #[error("database {database} has migration {version} ({description}), which the bundle lacks")]
    NotInBundle {
        /// The database.
        database: DatabaseName,
        /// The version.
        version: i64,
        /// What it did.
        description: String,
    },
    /// A migration is older than one that was applied.
    #[error("{file}: is older than migration {applied}, which database {database} has already")]
    OutOfOrder {
        /// The file.
        file: String,
        /// The newest version applied.
        applied: i64,
        /// The database.
        database: DatabaseName,
    },
    /// The server refused a migration.
    #[error("{file}:{line}: apply migration to database {database}")]
    Apply {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The database.
        database: DatabaseName,
        /// What the server said.
        source: Cause,
    },
    /// A migration made the session act as somebody else.
    #[error(
        "{file}: left the session acting as role {found} instead of {expected} on database \
         {database}"
    )]
    RoleChanged {
        /// The file.
        file: String,
        /// The database.
        database: DatabaseName,
        /// Whom the session acted as behind it.
        found: String,
        /// Whom it acted as before.
        expected: String,
    },
    /// The server refused a check.
    #[error("{file}:{line}: check migration of database {database}")]
    RunCheck {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The database.
        database: DatabaseName,
        /// What the server said.
        source: Cause,
    },
    /// A check says that a migration did not do what it should.
    #[error("{file}:{line}: check failed on database {database}: {found}")]
    CheckFailed {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The database.
        database: DatabaseName,
        /// What it answered instead.
        found: String,
    },
}

impl Error {
    /// Whether the same again may work: the server was away or busy, and the
    /// bundle is not to blame.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Connect { source, .. } => source.is_transient(),
            Self::History { source, .. }
            | Self::Apply { source, .. }
            | Self::RunCheck { source, .. } => source.is_transient(),
            _ => false,
        }
    }
}
