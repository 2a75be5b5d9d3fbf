//! What a server said when it refused.
//!
//! sqlx shows the line of PostgreSQL's own C source behind the message, which
//! would be taken for the migration's. And the detail of an error may quote a
//! row: it is left out, since what an operation failed of is shown to people
//! who may not read the org's data.

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

/// Why the server, or the way there, failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The server refused.
    #[error(transparent)]
    Server(ServerError),
    /// The connection failed.
    #[error(transparent)]
    Connection(sqlx::Error),
}

/// An error as the server words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (SQLSTATE {code}){}", hint.as_ref().map_or_else(String::new, |hint| format!("; hint: {hint}")))]
pub struct ServerError {
    /// SQLSTATE.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do, where the server knows.
    pub hint: Option<String>,
    /// Where, in characters counted from 1, in what was sent.
    pub position: Option<usize>,
}

impl Cause {
    /// The SQLSTATE, where the server answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(&error.code),
            Self::Connection(_) => None,
        }
    }

    /// Where the error is in what was sent, in characters counted from 1.
    pub(crate) fn position(&self) -> Option<usize> {
        match self {
            Self::Server(error) => error.position,
            Self::Connection(_) => None,
        }
    }

    /// Whether a lock was not to be had in time.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        matches!(self.code(), Some("55P03" | "40P01"))
    }

    /// Whether the same again may work.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection(error) => {
                matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_))
            }
            Self::Server(error) => {
                let code = error.code.as_str();
                let class = code.get(..2).unwrap_or_default();
                matches!(class, "08" | "53")
                    || matches!(code, "57P01" | "57P02" | "57P03" | "55006" | "55P03" | "40001")
                    || code == "40P01"
            }
        }
    }
}

impl From<sqlx::Error> for Cause {
    fn from(error: sqlx::Error) -> Self {
        let Some(server) = error.as_database_error() else {
            return Self::Connection(error);
        };
        let Some(server) = server.try_downcast_ref::<PgDatabaseError>() else {
            return Self::Connection(error);
        };
        let position = match server.position() {
            Some(PgErrorPosition::Original(position)) => Some(position),
            _ => None,
        };
        Self::Server(ServerError {
            code: server.code().to_owned(),
            message: server.message().to_owned(),
            hint: server.hint().map(str::to_owned),
            position,
        })
    }
}
