//! The least that a queue in PostgreSQL needs: a claim that skips what others
//! hold, and an update that ends it.

use std::time::{Duration, Instant};

use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinSet;

use crate::Result;

const CLAIM: &str = "
WITH head AS (
    SELECT id FROM bare_operations WHERE state = 'PENDING' AND run_at <= now()
    ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE bare_operations o SET state = 'RUNNING', epoch = o.epoch + 1, attempt = o.attempt + 1,
    node_id = 'bare', lease_expires_at = now() + interval '30 s', started_at = now(),
    updated_at = now()
FROM head WHERE o.id = head.id RETURNING o.id";

const FINISH: &str = "
UPDATE bare_operations SET state = 'SUCCEEDED', node_id = NULL, lease_expires_at = NULL,
    finished_at = now(), updated_at = now()
WHERE id = $1 AND state = 'RUNNING'";

/// Claims and ends everything in `bare_operations`, `concurrency` loops at a
/// time over `connections` connections; answers how long that took.
pub(crate) async fn drain(pool: &PgPool, concurrency: usize, connections: u32) -> Result<Duration> {
    let options = pool.connect_options().as_ref().clone();
    let pool = PgPoolOptions::new().max_connections(connections).connect_with(options).await?;
    let begun = Instant::now();
    let mut loops = JoinSet::new();
    for _ in 0..concurrency {
        loops.spawn(claim_and_finish(pool.clone()));
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    let took = begun.elapsed();
    pool.close().await;
    Ok(took)
}

async fn claim_and_finish(pool: PgPool) -> Result<()> {
    loop {
        let claimed: Option<sqlx::types::Uuid> =
            sqlx::query_scalar(CLAIM).fetch_optional(&pool).await?;
        let Some(id) = claimed else { return Ok(()) };
        sqlx::query(FINISH).bind(id).execute(&pool).await?;
    }
}
