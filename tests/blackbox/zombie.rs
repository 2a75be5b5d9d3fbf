//! Two workers side by side. One is frozen past its lease and woken: it
//! writes nothing.

use std::time::{Duration, Instant};

use sqlx::Row;
use yuantus_proto::v1::operation::State;
use yuantus_test_support::{Api, TestEnv, backup_id};

use crate::{
    tidy::assert_tidy,
    world::{assert_usable, bundle_with_slow, database, fill, fingerprint, migrates_slowly},
};

/// Leases that a test can outlast.
const SHORT_LEASE: &[(&str, &str)] = &[("YUANTUS_WORKER__LEASE_SECONDS", "3")];

/// Waits until an operation is at `step` and running.
async fn at_step(api: &Api, id: &str, step: &str) {
    let begun = Instant::now();
    loop {
        let operation = api.operation(id).await;
        if operation.state() == State::Running && operation.step == step {
            return;
        }
        assert_ne!(operation.state(), State::Succeeded, "too fast to be frozen at {step}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{operation:?}");
    }
}

#[tokio::test]
async fn a_worker_frozen_past_its_lease_writes_nothing_when_it_wakes() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let frozen = env.worker("frozen", SHORT_LEASE);
    api.succeed(&create).await;
    let name = database("acme", "hq");
    fill(&env, &name, 300_000).await;
    let before = fingerprint(&env, &name).await;

    let backup = api.create_backup("acme", "hq").await;
    at_step(&api, &backup.id, "dump_database").await;
    frozen.freeze();
    let mut other = env.worker("other", SHORT_LEASE);
    api.succeed(&backup).await;
    let ended = operation_row(&env, &backup.id).await;
    frozen.thaw();
    wait_for_losses(&frozen, 1).await;
    assert_eq!(operation_row(&env, &backup.id).await, ended);
    other.terminate().await;

    let restore = api.restore("acme", "hq", backup_id(&backup)).await;
    at_step(&api, &restore.id, "load_dump").await;
    frozen.freeze();
    let _other = env.worker("other", SHORT_LEASE);
    api.succeed(&restore).await;
    let ended = operation_row(&env, &restore.id).await;
    frozen.thaw();
    wait_for_losses(&frozen, 2).await;
    assert_eq!(operation_row(&env, &restore.id).await, ended);
    assert_eq!(fingerprint(&env, &name).await, before);
    assert_usable(&api, "acme", "hq").await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn neither_does_one_that_makes_migrates_or_verifies() {
    let env = TestEnv::start().await;
    let bundle = bundle_with_slow(&env, &["slow"]);
    let variables = [SHORT_LEASE[0], ("YUANTUS_BUNDLE", &*bundle)];
    let mut api = env.api_with(&variables).await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    // A worker that runs once makes no template: it migrates the org's database.
    let once = [variables[0], variables[1], ("YUANTUS_NODE_ID", "frozen")];
    let mut frozen = env.spawn("frozen", &["worker", "--once"], &once);
    let name = database("acme", "hq");
    migrates_slowly(&env, &name).await;
    frozen.freeze();
    let mut other = env.worker("other", &variables);
    api.succeed(&create).await;
    let ended = operation_row(&env, &create.id).await;
    frozen.thaw();
    wait_for_losses(&frozen, 1).await;
    assert!(frozen.ended().await.success(), "nothing is left for it to do");
    assert_eq!(operation_row(&env, &create.id).await, ended);
    assert_usable(&api, "acme", "hq").await;
    other.terminate().await;

    api.child.terminate().await;
    bundle_with_slow(&env, &["slow", "slower"]);
    let api = env.api_with(&variables).await;
    let frozen = env.worker("frozen", &variables);
    let before = fingerprint(&env, &name).await;
    let apply = api.apply_migrations("acme", "hq").await;
    migrates_slowly(&env, &name).await;
    frozen.freeze();
    let mut other = env.worker("other", &variables);
    api.succeed(&apply).await;
    let ended = operation_row(&env, &apply.id).await;
    frozen.thaw();
    wait_for_losses(&frozen, 1).await;
    assert_eq!(operation_row(&env, &apply.id).await, ended);
    let after = fingerprint(&env, &name).await;
    assert!(after.contains_key("public.slower") && before.keys().all(|t| after.contains_key(t)));
    other.terminate().await;

    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    env.s3.faults().stall_next(1);
    let verify = api.verify_backup("acme", "hq", backup_id(&backup)).await;
    at_step(&api, &verify.id, "read_backup").await;
    frozen.freeze();
    env.s3.faults().clear();
    let _other = env.worker("other", &variables);
    api.succeed(&verify).await;
    let ended = operation_row(&env, &verify.id).await;
    frozen.thaw();
    wait_for_losses(&frozen, 2).await;
    assert_eq!(operation_row(&env, &verify.id).await, ended);
    assert_usable(&api, "acme", "hq").await;
    assert_tidy(&env).await;
}

async fn wait_for_losses(child: &yuantus_test_support::Child, count: usize) {
    let begun = Instant::now();
    while child.log().matches("the lease was lost").count() < count {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", child.log());
        tokio::task::yield_now().await;
    }
}

async fn operation_row(env: &TestEnv, id: &str) -> String {
    let mut identity = env.identity().await;
    sqlx::query("SELECT o::text FROM operations o WHERE id = $1::uuid")
        .bind(id)
        .fetch_one(&mut identity)
        .await
        .expect("operation")
        .get(0)
}
