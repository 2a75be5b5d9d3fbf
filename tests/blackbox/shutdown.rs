//! A worker that is told to stop gives back what it holds; operations that
//! ended long ago are forgotten.

use std::time::{Duration, Instant};

use yuantus_proto::v1::operation::State;
use yuantus_test_support::{Api, TestEnv};

use crate::{
    tidy::assert_tidy,
    world::{database, fill},
};

/// Waits until `holds` does.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn is_dumping(api: &Api, id: &str) -> bool {
    let operation = api.operation(id).await;
    operation.state() == State::Running && operation.step == "dump_database"
}

#[tokio::test]
async fn a_worker_that_stops_gives_its_operations_back_uncounted() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut stopping = env.worker("stopping", &[("YUANTUS_SERVER__DRAIN_SECONDS", "0")]);
    api.succeed(&create).await;
    fill(&env, &database("acme", "hq"), 400_000).await;

    let backup = api.create_backup("acme", "hq").await;
    until("the dump runs", async || is_dumping(&api, &backup.id).await).await;
    assert!(stopping.terminate().await.success(), "{}", stopping.log());
    let given_back = api.operation(&backup.id).await;
    assert_eq!(given_back.state(), State::Pending, "{given_back:#?}");
    assert_eq!(given_back.attempt, 0, "{given_back:#?}");

    let _other = env.worker("other", &[]);
    api.succeed(&backup).await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn operations_that_ended_long_ago_are_forgotten() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&create).await;
    worker.terminate().await;

    let _forgetful = env.worker("w", &[("YUANTUS_WORKER__RETENTION_SECONDS", "0")]);
    let mut identity = env.identity().await;
    until("the operation is forgotten", async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM operations")
            .fetch_one(&mut identity)
            .await
            .expect("count");
        left == 0
    })
    .await;
    assert_tidy(&env).await;
}
