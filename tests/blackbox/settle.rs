//! The end of all work.

use std::time::{Duration, Instant};

use yuantus_test_support::TestEnv;

/// Waits until every operation has ended.
pub async fn settle(env: &TestEnv) {
    let begun = Instant::now();
    let mut identity = env.identity().await;
    let sql = "SELECT type || ' ' || state || ' ' || reason FROM operations
        WHERE state IN ('PENDING', 'RUNNING')";
    loop {
        let left: Vec<String> =
            sqlx::query_scalar(sql).fetch_all(&mut identity).await.expect("operations");
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
