//! One use of a connection.
//!
//! Invariant: a connection is kept for the next use only when no statement of
//! this one is under way and no transaction is open, however the use ended.

use std::{fmt, time::Duration};

use sqlx::{Executor, PgConnection};
use tokio::{sync::OwnedSemaphorePermit, time::error::Elapsed, time::timeout};

use crate::{Error, Result, error::is_broken, hand::Place};

/// How much longer than the server we wait for a statement to be ended.
const GRACE: Duration = Duration::from_secs(2);

/// A connection in use, and its rights to be there.
pub(crate) struct Open {
    pub(crate) connection: PgConnection,
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) turn: OwnedSemaphorePermit,
    pub(crate) place: Place,
}

/// One use of a connection to an org's database. Dropping it gives the
/// connection back.
pub struct Session {
    open: Option<Open>,
    database: String,
    clean: bool,
    in_transaction: bool,
}

impl Session {
    pub(crate) fn new(open: Open, database: &str) -> Self {
        let database = database.to_owned();
        Self { open: Some(open), database, clean: true, in_transaction: false }
    }

    /// Begins a transaction, which [`Session::finish`] ends.
    pub async fn begin(&mut self) -> Result<()> {
        self.in_transaction = true;
        self.run("begin", "BEGIN").await
    }

    /// Ends the transaction: commits what succeeded and rolls back what did
    /// not.
    pub async fn finish<T, E: From<Error>>(mut self, outcome: Result<T, E>) -> Result<T, E> {
        let ended = match outcome {
            Ok(_) => self.run("commit", "COMMIT").await,
            Err(_) => self.run("roll back", "ROLLBACK").await,
        };
        if ended.is_ok() {
            self.in_transaction = false;
            self.clean = true;
        }
        let outcome = outcome?;
        ended?;
        Ok(outcome)
    }

    async fn run(&mut self, query: &'static str, sql: &'static str) -> Result<()> {
        let limit = self.limit();
        let answer = timeout(limit, self.start(query)?.execute(sql)).await;
        self.end(query, answer).map(drop)
    }

    /// How long to wait for an answer.
    pub(crate) fn limit(&self) -> Duration {
        let statement = self.open.as_ref().map(|open| open.place.shared.limits.statement);
        statement.unwrap_or_default() + GRACE
    }

    /// The connection, for a statement that [`Session::end`] ends.
    pub(crate) fn start(&mut self, query: &'static str) -> Result<&mut PgConnection> {
        self.clean = false;
        match &mut self.open {
            Some(open) => Ok(&mut open.connection),
            None => {
                let (database, source) = (self.database.clone(), sqlx::Error::PoolClosed);
                Err(Error::Query { query, database, source })
            }
        }
    }

    /// What became of a statement.
    pub(crate) fn end<T>(
        &mut self,
        query: &'static str,
        answer: Result<sqlx::Result<T>, Elapsed>,
    ) -> Result<T> {
        let database = self.database.clone();
        let answer = answer.map_err(|_| Error::Timeout { query, database, limit: self.limit() })?;
        self.clean = !self.in_transaction && !answer.as_ref().is_err_and(is_broken);
        answer.map_err(|source| {
            let database = self.database.clone();
            Error::Query { query, database, source }
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let shared = std::sync::Arc::clone(&open.place.shared);
            shared.give_back(open, self.clean);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.database)
    }
}
