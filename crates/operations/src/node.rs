//! The name of a worker. While it runs, it holds an advisory lock on its
//! name, so that a restart may take back what it held, and a second worker of
//! the same name is refused.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use yuantus_identity::Context;

use crate::{Error, Result};

const LOCK_CLASS: i32 = 0x7975_6e6f;

/// Takes the lock on `node`; dropping the connection gives it back. A worker
/// that was just killed may hold it for a moment longer.
pub(crate) async fn lock_node(pool: &PgPool, node: &str) -> Result<PgConnection> {
    let options = pool.connect_options().as_ref().clone();
    let mut connection =
        PgConnection::connect_with(&options).await.during("connect to lock node id")?;
    for _ in 0..50 {
        let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))")
            .bind(LOCK_CLASS)
            .bind(node)
            .fetch_one(&mut connection)
            .await
            .during("lock node id")?;
        if locked {
            return Ok(connection);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Error::NodeInUse { node: node.into() })
}
