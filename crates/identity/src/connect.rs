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
/// Answers whether it created it.
pub async fn create_if_missing(url: &Url) -> Result<bool> {
    let name = url.path().trim_start_matches('/').to_owned();
    let maintenance = options(url)?.database("postgres").application_name("yuantus:db");
    let mut connection =
        PgConnection::connect_with(&maintenance).await.during("connect to postgres database")?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut connection)
            .await
            .during("look for identity database")?;
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    if !exists {
        let create = format!("CREATE DATABASE {quoted}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .during("create identity database")?;
    }
    let close = format!("REVOKE CONNECT, TEMPORARY ON DATABASE {quoted} FROM PUBLIC");
    sqlx::raw_sql(sqlx::AssertSqlSafe(close))
        .execute(&mut connection)
        .await
        .during("close identity database")?;
    connection.close().await.during("close connection")?;
    Ok(!exists)
}
