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

/// Any number no other lock of ours uses. Advisory locks are per database: who
/// creates holds it in `postgres`, who closes in the database itself.
const LOCK: i64 = 0x7975_616e_7475_7303;

/// Creates the identity database where the server has none of its name yet,
/// as UTF-8, and lets nobody else connect to it: tenants' roles may be on the
/// same server. Several at once are one after another, and one of them creates.
/// Answers whether this one did, for which its role has to be let into the
/// database `postgres`.
pub async fn create_if_missing(url: &Url) -> Result<bool> {
    let own = options(url)?.application_name("yuantus:db");
    let name = own.get_database().unwrap_or_default().to_owned();
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let (mut connection, created) = match PgConnection::connect_with(&own).await {
        Ok(connection) => (connection, false),
        Err(error) if is_missing(&error) => {
            let created = create(own.clone().database("postgres"), &name, &quoted).await?;
            let connection = PgConnection::connect_with(&own).await;
            (connection.during("connect to identity database")?, created)
        }
        Err(error) => return Err(error).during("connect to identity database"),
    };
    lock(&mut connection).await?;
    let close = format!("REVOKE CONNECT, TEMPORARY ON DATABASE {quoted} FROM PUBLIC");
    sqlx::raw_sql(sqlx::AssertSqlSafe(close))
        .execute(&mut connection)
        .await
        .during("close identity database")?;
    connection.close().await.during("close connection")?;
    Ok(created)
}

/// Whether it was still missing once nobody else was creating it.
async fn create(maintenance: PgConnectOptions, name: &str, quoted: &str) -> Result<bool> {
    let connected = PgConnection::connect_with(&maintenance).await;
    let mut connection = connected.during("connect to postgres database")?;
    lock(&mut connection).await?;
    let there = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)";
    let there: bool = sqlx::query_scalar(there)
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .during("look for identity database")?;
    if !there {
        let locale = locale(&mut connection).await?;
        let create = format!("CREATE DATABASE {quoted} TEMPLATE template0 ENCODING 'UTF8'{locale}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .during("create identity database")?;
    }
    connection.close().await.during("close connection")?;
    Ok(!there)
}

/// The locale of a cluster of another encoding may not go with UTF-8; C goes
/// with every one.
async fn locale(connection: &mut PgConnection) -> Result<&'static str> {
    let sql = "SELECT pg_encoding_to_char(encoding) = 'UTF8' FROM pg_database \
               WHERE datname = 'template0'";
    let same: Option<bool> = sqlx::query_scalar(sql)
        .fetch_optional(connection)
        .await
        .during("read encoding of template0")?;
    Ok(if same == Some(false) { " LOCALE 'C'" } else { "" })
}

/// Until the connection ends.
async fn lock(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(connection)
        .await
        .during("lock creation of identity database")
        .map(drop)
}

fn is_missing(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "3D000")
}
