//! The one pool of the identity database, shared by sea-orm queries and the
//! operation engine's statements.

use std::{str::FromStr, time::Duration};

use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use url::Url;

use crate::{Context, Result};

/// The identity database.
pub type Database = DatabaseConnection;

fn options(url: &Url) -> Result<PgConnectOptions> {
    PgConnectOptions::from_str(url.as_str()).during("read identity database url")
}

/// Opens a pool of at most `max_connections`. It connects at first use, so a
/// server that is down is an error of the query, not of this call.
pub fn connect(url: &Url, max_connections: u32, name: &str) -> Result<DatabaseConnection> {
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .min_connections(0)
        .acquire_timeout(Duration::from_secs(30))
        .acquire_slow_threshold(Duration::from_secs(10))
        .idle_timeout(Duration::from_secs(300))
        .connect_lazy_with(options(url)?.application_name(name));
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

/// Creates the identity database where the server has none of its name yet,
/// and lets nobody else connect to it: tenants' roles may be on the same server.
/// Answers whether it created it, for which its role has to be let into the
/// database `postgres`.
pub async fn create_if_missing(url: &Url) -> Result<bool> {
    let own = options(url)?.application_name("yuantus:db");
    let quoted = format!("\"{}\"", url.path().trim_start_matches('/').replace('"', "\"\""));
    let (mut connection, created) = match PgConnection::connect_with(&own).await {
        Ok(connection) => (connection, false),
        Err(error) if is_missing(&error) => {
            let maintenance = own.clone().database("postgres");
            let mut connection = PgConnection::connect_with(&maintenance)
                .await
                .during("connect to postgres database")?;
            let create = format!("CREATE DATABASE {quoted}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(create))
                .execute(&mut connection)
                .await
                .during("create identity database")?;
            (connection, true)
        }
        Err(error) => return Err(error).during("connect to identity database"),
    };
    let close = format!("REVOKE CONNECT, TEMPORARY ON DATABASE {quoted} FROM PUBLIC");
    sqlx::raw_sql(sqlx::AssertSqlSafe(close))
        .execute(&mut connection)
        .await
        .during("close identity database")?;
    connection.close().await.during("close connection")?;
    Ok(created)
}

fn is_missing(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "3D000")
}
