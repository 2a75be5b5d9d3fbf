//! The connection a database is migrated through: one at a time per database,
//! and every migration begins with the same settings, whatever the one before
//! it set.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::{Instant, sleep};
use yuantus_domain::DatabaseName;
use yuantus_postgres::DatabaseAccess;

use crate::{Error, Result, server_error::Cause};

/// "yuantus" as the class of advisory locks; 1 is migrating. Advisory locks
/// are per database, so the key need not name it.
const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(2037740910, 1)";

/// How long to wait for somebody else who migrates the same database.
const LOCK_WAIT: Duration = Duration::from_secs(30);
const LOCK_POLL: Duration = Duration::from_millis(100);

/// A migration waits this long for a table lock: while it waits, it blocks
/// everybody behind it.
const FRESH: &str = "RESET ALL; RESET ROLE; DISCARD TEMP; SET statement_timeout = 0; \
                     SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '3s'";

/// Connects and takes the lock, which ends with the connection.
pub(crate) async fn open(access: &DatabaseAccess, database: &DatabaseName) -> Result<PgConnection> {
    let mut connection = connect(access, database).await?;
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        let locked: bool = sqlx::query_scalar(TRY_LOCK)
            .fetch_one(&mut connection)
            .await
            .map_err(|error| failed("take the migration lock", database, error.into()))?;
        if locked {
            return Ok(connection);
        }
        if Instant::now() >= deadline {
            return Err(Error::Busy { database: database.clone() });
        }
        sleep(LOCK_POLL).await;
    }
}

/// Connects without the lock, to read.
pub(crate) async fn connect(
    access: &DatabaseAccess,
    database: &DatabaseName,
) -> Result<PgConnection> {
    access.connect().await.map_err(|source| Error::Connect { database: database.clone(), source })
}

/// Puts all settings back to what they were at the start.
pub(crate) async fn refresh(connection: &mut PgConnection) -> Result<(), Cause> {
    sqlx::raw_sql(FRESH).execute(connection).await?;
    Ok(())
}

/// Whom the session acts as, and as whom it logged in.
pub(crate) async fn roles(connection: &mut PgConnection) -> Result<(String, String), Cause> {
    let sql = "SELECT current_user::text, session_user::text";
    Ok(sqlx::query_as(sql).fetch_one(connection).await?)
}

/// Takes back what a migration set, within its transaction.
pub(crate) async fn restore(connection: &mut PgConnection) -> Result<(), Cause> {
    sqlx::raw_sql("RESET ALL; RESET ROLE").execute(connection).await?;
    Ok(())
}

/// Wraps what failed beside the migrations themselves.
pub(crate) fn failed(action: &'static str, database: &DatabaseName, source: Cause) -> Error {
    Error::History { action, database: database.clone(), source }
}
