//! Errors name the query that failed; what a client may hear of it is decided
//! in the conversion to the domain's error.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};

/// What queries return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A query on the identity database failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database answered with an error, or not at all.
    #[error("{query}")]
    Query {
        /// What was to be done, such as `insert org`.
        query: &'static str,
        /// Why it failed.
        source: DbErr,
    },
    /// The database lacks migrations of this program.
    #[error(
        "the identity database's schema is older than this program: it lacks {missing}; run \
         `yuantus db upgrade`"
    )]
    SchemaOlder {
        /// The oldest that it lacks.
        missing: String,
    },
    /// The database has migrations that this program does not know.
    #[error(
        "the identity database's schema is newer than this program: it has {unknown}; run the \
         version of yuantus whose `yuantus db upgrade` was run last"
    )]
    SchemaNewer {
        /// The newest that is not known.
        unknown: String,
    },
    /// The database is not UTF-8.
    #[error(
        "the identity database is encoded as {found}, it must be UTF8: dump it with `pg_dump \
         --encoding=UTF8`, and load it into one made with `CREATE DATABASE … TEMPLATE template0 \
         ENCODING 'UTF8'`"
    )]
    Encoding {
        /// Its encoding, as PostgreSQL calls it.
        found: String,
    },
    /// A role that cannot be one without ownership.
    #[error("role `{role}` {rule}")]
    Role {
        /// The role.
        role: String,
        /// Why not, as the rest of a sentence.
        rule: &'static str,
    },
    /// A stored word that this version does not know.
    #[error("{column} holds `{value}`, which is not known")]
    Unknown {
        /// Table and column.
        column: &'static str,
        /// What it holds.
        value: String,
    },
}

/// Names the query an error comes from.
pub trait Context<T> {
    /// Wraps an error as that of `query`.
    fn during(self, query: &'static str) -> Result<T>;
}

impl<T> Context<T> for std::result::Result<T, DbErr> {
    fn during(self, query: &'static str) -> Result<T> {
        self.map_err(|source| Error::Query { query, source })
    }
}

impl<T> Context<T> for std::result::Result<T, sqlx::Error> {
    fn during(self, query: &'static str) -> Result<T> {
        self.map_err(|e| DbErr::Query(RuntimeErr::SqlxError(e.into()))).during(query)
    }
}

impl Error {
    /// The SQLSTATE, where the server gave one.
    pub fn sqlstate(&self) -> Option<String> {
        self.server_error().and_then(|e| e.code()).map(|code| code.into_owned())
    }

    fn server_error(&self) -> Option<&dyn sqlx::error::DatabaseError> {
        self.driver_error()?.as_database_error()
    }

    fn driver_error(&self) -> Option<&sqlx::Error> {
        let Self::Query { source, .. } = self else { return None };
        let (DbErr::Exec(RuntimeErr::SqlxError(e))
        | DbErr::Query(RuntimeErr::SqlxError(e))
        | DbErr::Conn(RuntimeErr::SqlxError(e))) = source
        else {
            return None;
        };
        Some(e)
    }

    /// Whether it is the database as a whole that this program cannot work on.
    pub fn is_of_the_schema(&self) -> bool {
        matches!(self, Self::SchemaOlder { .. } | Self::SchemaNewer { .. } | Self::Encoding { .. })
    }

    /// Whether the server's answer was not what was asked for: it never will be.
    fn is_of_a_value(&self) -> bool {
        use sqlx::Error::{
            ColumnDecode, ColumnIndexOutOfBounds, ColumnNotFound, Decode, Encode, TypeNotFound,
        };
        match self {
            Self::Unknown { .. }
            | Self::SchemaOlder { .. }
            | Self::SchemaNewer { .. }
            | Self::Encoding { .. }
            | Self::Role { .. } => true,
            Self::Query { source: DbErr::Json(_) | DbErr::Type(_) | DbErr::Custom(_), .. } => true,
            Self::Query { .. } => matches!(
                self.driver_error(),
                Some(
                    ColumnDecode { .. }
                        | ColumnIndexOutOfBounds { .. }
                        | ColumnNotFound(_)
                        | Decode(_)
                        | Encode(_)
                        | TypeNotFound { .. }
                )
            ),
        }
    }

    /// The constraint that a row would have broken, where the server names one.
    pub fn constraint(&self) -> Option<String> {
        self.server_error().and_then(|e| e.constraint().map(str::to_owned))
    }

    /// Whether a row of that key is there already.
    pub fn is_unique_violation(&self) -> bool {
        self.sqlstate().as_deref() == Some("23505")
    }

    /// Whether the same query may work later: no connection, server stopping
    /// or starting, deadlock, serialisation.
    pub fn is_transient(&self) -> bool {
        match self.sqlstate() {
            Some(code) => {
                matches!(&code[..2], "08" | "53" | "57") || matches!(&*code, "40001" | "40P01")
            }
            None => !self.is_of_a_value(),
        }
    }
}

impl From<Error> for yuantus_domain::Error {
    fn from(error: Error) -> Self {
        if error.is_transient() {
            return Self::Unavailable {
                reason: "IDENTITY_DATABASE_UNAVAILABLE",
                message: "the identity database cannot be reached now".into(),
                retry_after: Duration::from_secs(2),
            };
        }
        if error.is_of_the_schema() {
            return Self::Unavailable {
                reason: "IDENTITY_DATABASE_UNUSABLE",
                message: error.to_string(),
                retry_after: Duration::from_secs(30),
            };
        }
        Self::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_never_will_be_and_who_does_not_answer_may() {
        let failed = |source: sqlx::Error| {
            let failed: Result<()> = Err(source).during("read");
            failed.err().map(|error| error.is_transient())
        };
        let decode = || "number out of range".into();
        let column = sqlx::Error::ColumnDecode { index: "policy".into(), source: decode() };
        assert_eq!(failed(column), Some(false));
        assert_eq!(failed(sqlx::Error::Decode(decode())), Some(false));
        assert_eq!(failed(sqlx::Error::PoolTimedOut), Some(true));
        let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(failed(sqlx::Error::Io(cut)), Some(true));
    }
}
