//! Which worker leads the loops.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use yuantus_identity::Context;

use crate::Deps;

/// The advisory lock on the identity database that the leader holds. While
/// anybody else does, no worker keeps spare databases.
pub const LEAD: i64 = 0x7975_616e_7475_7302;

/// Holds the lock for as long as its connection lives.
pub(super) struct Leader(PgConnection);

/// Takes the lead, unless another worker has it.
pub(super) async fn lead(deps: &Deps) -> yuantus_identity::Result<Option<Leader>> {
    let pool = deps.db.get_postgres_connection_pool();
    let options = pool.connect_options().as_ref().clone();
    let mut connection = PgConnection::connect_with(&options).await.during("connect to lead")?;
    let leads: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(LEAD)
        .fetch_one(&mut connection)
        .await
        .during("take the lead")?;
    Ok(leads.then_some(Leader(connection)))
}

impl Leader {
    /// Returns once the connection, and with it the lock, is lost.
    pub(super) async fn deposed(&mut self) {
        while self.0.ping().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
}
