//! One connection of the administrator, with a bound on every statement.
//!
//! Invariant: a session whose last statement failed, timed out or was
//! abandoned (its future dropped) is never given to anybody else.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgRow};
use tokio::time::timeout;

use crate::{Error, Result};

/// A statement that reads or changes a few rows of the catalog.
pub(crate) const SHORT: Duration = Duration::from_secs(10);
/// A statement that copies a database, or waits for its sessions to end.
pub(crate) const LONG: Duration = Duration::from_secs(180);
/// `DROP DATABASE`, which waits for a checkpoint.
pub(crate) const DROP: Duration = Duration::from_secs(600);
/// A statement whose time depends on how much data there is.
pub(crate) const WORK: Duration = Duration::from_secs(24 * 3600);

/// What a statement does and to what, for its errors.
#[derive(Clone, Copy)]
pub(crate) struct Doing<'a>(pub(crate) &'static str, pub(crate) &'a str);

impl Doing<'_> {
    pub(crate) fn failed(self, source: sqlx::Error) -> Error {
        Error::Statement { operation: self.0, subject: self.1.to_owned(), source }
    }
}

pub(crate) struct Session {
    connection: PgConnection,
    clean: bool,
}

impl Session {
    pub(crate) fn new(connection: PgConnection) -> Self {
        Self { connection, clean: true }
    }

    /// Whether every statement so far was answered without an error.
    pub(crate) fn is_clean(&self) -> bool {
        self.clean
    }

    /// Sends `sql`, one or several statements, in one round trip and collects
    /// the rows of all of them. Several statements are one transaction unless
    /// they hold their own `BEGIN` and `COMMIT`.
    pub(crate) async fn run(
        &mut self,
        doing: Doing<'_>,
        sql: String,
        limit: Duration,
    ) -> Result<Vec<PgRow>> {
        self.clean = false;
        let answer = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection);
        let rows = timeout(limit, answer)
            .await
            .map_err(|_| Error::Timeout {
                operation: doing.0,
                subject: doing.1.to_owned(),
                after: limit,
            })?
            .map_err(|source| doing.failed(source))?;
        self.clean = true;
        Ok(rows)
    }

    /// Ends a transaction that failed, so that the session can go on.
    pub(crate) async fn roll_back(&mut self, doing: Doing<'_>) -> Result<()> {
        self.run(doing, "ROLLBACK".to_owned(), SHORT).await.map(drop)
    }

    /// Says goodbye; the server ends the session at once.
    pub(crate) async fn close(self) {
        // Whatever comes of it, the socket is closed.
        let _ = timeout(SHORT, self.connection.close()).await;
    }
}
