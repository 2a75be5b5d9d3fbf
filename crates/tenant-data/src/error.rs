//! Why an org's database did not answer, and what the client hears of it.

use std::{error::Error as _, time::Duration};

use yuantus_domain::Error as Domain;

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How soon a client may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why an org's database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// All connections that one database may have were in use.
    #[error("every connection to database `{database}` was in use for {waited:?}")]
    DatabaseBusy {
        /// The database.
        database: String,
        /// How long it was waited.
        waited: Duration,
    },
    /// All connections that there may be were in use.
    #[error("every connection to the orgs' databases was in use for {waited:?}")]
    Full {
        /// How long it was waited.
        waited: Duration,
    },
    /// No connection could be made.
    #[error("connect to database `{database}`")]
    Connect {
        /// The database.
        database: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A connection was not made, or a statement not answered, in time.
    #[error("{query} in database `{database}`: no answer within {limit:?}")]
    Timeout {
        /// What was to be done, such as `insert customer`.
        query: &'static str,
        /// The database.
        database: String,
        /// How long it was waited.
        limit: Duration,
    },
    /// A statement failed.
    #[error("{query} in database `{database}`")]
    Query {
        /// What was to be done.
        query: &'static str,
        /// The database.
        database: String,
        /// Why it failed.
        source: sqlx::Error,
    },
}

impl Error {
    /// The SQLSTATE, where the server gave one.
    pub fn sqlstate(&self) -> Option<String> {
        let (Self::Connect { source, .. } | Self::Query { source, .. }) = self else {
            return None;
        };
        sqlstate(source)
    }

    /// The constraint that a unique violation names.
    pub fn unique_violation(&self) -> Option<&str> {
        let Self::Query { source, .. } = self else { return None };
        let answer = source.as_database_error().filter(|answer| answer.is_unique_violation())?;
        Some(answer.constraint().unwrap_or_default())
    }

    fn constraint(&self) -> String {
        let Self::Query { source, .. } = self else { return String::new() };
        let answer = source.as_database_error();
        answer.and_then(|answer| answer.constraint()).unwrap_or_default().to_owned()
    }
}

pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|answer| answer.code()).map(|code| code.into_owned())
}

/// Whether the connection itself is gone.
pub(crate) fn is_broken(error: &sqlx::Error) -> bool {
    match sqlstate(error) {
        Some(code) => code.starts_with("08") || code.starts_with("57P"),
        None => {
            matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_))
        }
    }
}

/// Whether a row came back that is not of our table.
fn is_of_another_shape(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::Decode(_)
    )
}

impl From<Error> for Domain {
    fn from(error: Error) -> Self {
        match &error {
            Error::DatabaseBusy { .. } => {
                unavailable("DATABASE_BUSY", "the org's database is busy with other requests")
            }
            Error::Full { .. } => {
                unavailable("CONNECTIONS_EXHAUSTED", "too many orgs' databases are in use now")
            }
            Error::Timeout { .. } | Error::Connect { .. } => away(&error),
            Error::Query { source, .. } => match sqlstate(source) {
                Some(code) => of_sqlstate(&code, error),
                None if is_broken(source) => away(&error),
                None if is_of_another_shape(source) => other_schema("TABLE_DIFFERS", &error),
                None => Domain::internal(error),
            },
        }
    }
}

/// What the answer of a server means.
fn of_sqlstate(code: &str, error: Error) -> Domain {
    match code {
        "42501" => Domain::precondition("TABLE_NOT_PERMITTED", forbidden(&error)),
        "42P01" => other_schema("NO_SUCH_TABLE", &error),
        "57014" | "55P03" | "40001" | "40P01" | "25P03" => {
            unavailable("DATABASE_BUSY", "the org's database did not answer in time")
        }
        "25006" => unavailable("DATABASE_READ_ONLY", "the org's database takes no writes now"),
        _ => match &code[..2] {
            "08" | "53" | "57" | "58" => away(&error),
            "22" | "42" => other_schema("TABLE_DIFFERS", &error),
            "23" => Domain::precondition("CONSTRAINT", breaks(&error.constraint())),
            "P0" => Domain::precondition("REFUSED_BY_DATABASE", "the org's database refused it"),
            _ => Domain::internal(error),
        },
    }
}

/// What the org's role may not do, as the server says it: it names no more than
/// a table of the org's own database.
fn forbidden(error: &Error) -> String {
    let cause = match error {
        Error::Connect { source, .. } | Error::Query { source, .. } => source.as_database_error(),
        _ => None,
    };
    let cause = cause.map(|answer| answer.message().to_owned()).unwrap_or_default();
    format!(
        "the org's role may not use this table ({cause}): its owner has to grant the right to \
         `yuantus_tenant_app`, or the owner is to be `yuantus_tenant_owner`"
    )
}

fn breaks(constraint: &str) -> String {
    match constraint {
        "" => "it breaks a constraint of the org's database".to_owned(),
        name => format!("it breaks the constraint `{name}` of the org's database"),
    }
}

/// The org's database is of another bundle than ours.
fn other_schema(reason: &'static str, error: &Error) -> Domain {
    tracing::debug!(error = error as &dyn std::error::Error, "not a database of our bundle");
    let message = match reason {
        "NO_SUCH_TABLE" => "the org's database has no such table: its migrations are its own",
        _ => "the org's database has another table of this name: its migrations are its own",
    };
    Domain::precondition(reason, message)
}

/// Nothing of the cause is the client's business, and it is logged here.
fn away(error: &Error) -> Domain {
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        cause += &format!(": {inner}");
        source = inner.source();
    }
    tracing::warn!(error = cause, "an org's database cannot be used now");
    unavailable("DATABASE_UNAVAILABLE", "the org's database cannot be used now")
}

fn unavailable(reason: &'static str, message: &str) -> Domain {
    Domain::Unavailable { reason, message: message.to_owned(), retry_after: RETRY_AFTER }
}
