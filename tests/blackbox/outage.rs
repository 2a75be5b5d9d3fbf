//! PostgreSQL stopped and started in the middle of operations, and an S3 that
//! fails, stalls and cuts: an operation retries and ends well, or fails with
//! a reason that names the cause, and nothing is left over.

use std::time::{Duration, Instant};

use yuantus_proto::v1::{self, operation::State};
use yuantus_test_support::{Api, Options, TestEnv, backup_id};

use crate::{
    tidy::assert_tidy,
    world::{assert_usable, bundle_with_slow, database, fill, fingerprint, migrates_slowly},
};

/// Waits until an operation has got to `step`, or beyond it.
async fn reaches(api: &Api, id: &str, step: &str) {
    let begun = Instant::now();
    loop {
        let operation = api.operation(id).await;
        let position = |name: &str| operation.steps.iter().position(|s| s.name == name);
        assert_ne!(operation.state(), State::Succeeded, "too fast to be interrupted at {step}");
        let taken = operation.state() != State::Pending;
        if taken && position(&operation.step) >= position(step) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{operation:?}");
    }
}

/// Stops PostgreSQL hard in the middle of an operation and starts it again.
async fn interrupt(env: &mut TestEnv, api: &Api, operation: &v1::Operation, step: &str) {
    reaches(api, &operation.id, step).await;
    crash(env).await;
    ends_well(api, operation).await;
}

async fn crash(env: &mut TestEnv) {
    env.postgres.kill_hard().await.expect("stop");
    env.postgres.start_again().await.expect("start");
}

async fn ends_well(api: &Api, operation: &v1::Operation) {
    let begun = Instant::now();
    loop {
        let request =
            v1::WaitOperationRequest { operation_id: operation.id.clone(), timeout_seconds: 60 };
        match api.operations().wait_operation(request).await {
            Ok(ended) => {
                assert_eq!(ended.get_ref().state(), State::Succeeded, "{ended:?}");
                return;
            }
            Err(status) => assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn every_operation_survives_a_crash_of_postgresql() {
    let mut env = TestEnv::start_with(Options { durable: true, ..Options::default() }).await;
    let bundle = bundle_with_slow(&env, &["early"]);
    let variables = [("YUANTUS_TENANTS__SPARE_TARGET", "0"), ("YUANTUS_BUNDLE", &*bundle)];
    let mut api = env.api_with(&variables).await;
    let mut worker = env.worker("w", &variables);
    api.create_tenant("acme").await;
    // There is no template yet: it migrates a database of its own.
    let create = api.create_org("acme", "hq").await;
    let name = database("acme", "hq");
    migrates_slowly(&env, &name).await;
    crash(&mut env).await;
    ends_well(&api, &create).await;
    fill(&env, &name, 200_000).await;
    let before = fingerprint(&env, &name).await;

    worker.terminate().await;
    api.child.terminate().await;
    bundle_with_slow(&env, &["early", "late"]);
    let api = env.api_with(&variables).await;
    let _worker = env.worker("w", &variables);
    let apply = api.apply_migrations("acme", "hq").await;
    migrates_slowly(&env, &name).await;
    crash(&mut env).await;
    ends_well(&api, &apply).await;
    let migrated = fingerprint(&env, &name).await;
    assert!(migrated.contains_key("public.late"), "{migrated:?}");
    for table in ["public.parts", "public.customers"] {
        assert_eq!(migrated[table], before[table], "{table}");
    }
    let before = migrated;

    let backup = api.create_backup("acme", "hq").await;
    interrupt(&mut env, &api, &backup, "dump_database").await;

    env.s3.faults().stall_next(1);
    let verify = api.verify_backup("acme", "hq", backup_id(&backup)).await;
    reaches(&api, &verify.id, "read_backup").await;
    crash(&mut env).await;
    env.s3.faults().clear();
    ends_well(&api, &verify).await;

    let restore = api.restore("acme", "hq", backup_id(&backup)).await;
    interrupt(&mut env, &api, &restore, "load_dump").await;
    assert_eq!(fingerprint(&env, &name).await, before);
    assert_usable(&api, "acme", "hq").await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn operations_survive_an_s3_that_fails_stalls_and_cuts() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let name = database("acme", "hq");
    fill(&env, &name, 20_000).await;
    let before = fingerprint(&env, &name).await;
    let faults = env.s3.faults().clone();
    for harm in [faults_fail, faults_stall, faults_cut] {
        harm(&faults);
        let backup = api.create_backup("acme", "hq").await;
        api.succeed(&backup).await;
        harm(&faults);
        let restore = api.restore("acme", "hq", backup_id(&backup)).await;
        api.succeed(&restore).await;
        faults.clear();
        assert_eq!(fingerprint(&env, &name).await, before);
    }
    assert_tidy(&env).await;
}

type Faults = yuantus_storage::local_server::Faults;

fn faults_fail(faults: &Faults) {
    faults.fail_next(7);
}

fn faults_stall(faults: &Faults) {
    faults.stall_next(1);
}

fn faults_cut(faults: &Faults) {
    faults.cut_next(3);
}

#[tokio::test]
async fn a_backup_without_s3_fails_and_says_why_and_can_be_retried() {
    let env = TestEnv::start().await;
    let api = env.api_with(&[("YUANTUS_WORKER__MAX_ATTEMPTS", "2")]).await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    env.s3.faults().fail_next(u64::MAX);
    let backup = api.create_backup("acme", "hq").await;
    let begun = Instant::now();
    let failing = loop {
        let operation = api.operation(&backup.id).await;
        if !operation.reason.is_empty() {
            break operation;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{operation:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(failing.reason.contains("S3") || failing.reason.contains("500"), "{}", failing.reason);
    env.s3.faults().clear();
    let ended = api.wait(&backup).await;
    if ended.state() == State::Failed {
        let retry = v1::RetryOperationRequest { operation_id: backup.id.clone() };
        api.operations().retry_operation(retry).await.expect("retry");
    }
    api.succeed(&backup).await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_cancelled_backup_leaves_nothing() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    fill(&env, &database("acme", "hq"), 300_000).await;
    let backup = api.create_backup("acme", "hq").await;
    reaches(&api, &backup.id, "dump_database").await;
    let cancel = v1::CancelOperationRequest { operation_id: backup.id.clone() };
    api.operations().cancel_operation(cancel).await.expect("cancel");
    let ended = api.wait(&backup).await;
    assert_eq!(ended.state(), State::Cancelled, "{ended:?}");
    assert_tidy(&env).await;
}
