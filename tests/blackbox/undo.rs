//! Undoing that fails: every attempt is logged with its cause and the time of
//! the next, the operation ends, what it leaves behind is listed and removed
//! later, and its lane goes on.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::Executor;
use yuantus_proto::v1::{self, operation::State};
use yuantus_test_support::{Api, Child, TestEnv, backup_id};

use crate::{
    tidy::assert_tidy,
    world::{assert_usable, database},
};

/// Long enough for whatever is waited for here.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the log says of an attempt that failed.
const FAILED: &str = "what an operation made could not be removed and will be tried again";

/// What is listed, as `kind name`.
async fn orphans(env: &TestEnv) -> Vec<String> {
    let sql = "SELECT kind || ' ' || name FROM orphans ORDER BY 1";
    sqlx::query_scalar(sql).fetch_all(&mut env.identity().await).await.expect("orphans")
}

/// Waits until nothing is listed any more.
async fn orphans_are_gone(env: &TestEnv, worker: &Child) {
    let begun = Instant::now();
    // The next attempt need not be waited for.
    let due = "UPDATE orphans SET next_attempt_at = now()";
    env.identity().await.execute(due).await.expect("due");
    while !orphans(env).await.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?}\n{}", orphans(env).await, worker.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn lines(child: &Child, message: &str) -> Vec<Value> {
    let log = child.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

/// Asserts that a line of the log says what it is about.
fn assert_attributed(line: &Value, operation: &v1::Operation) {
    assert_eq!(line["operation_id"], *operation.id, "{line}");
    assert_eq!(line["kind"], *operation.r#type, "{line}");
    assert_eq!(line["tenant_id"], *operation.tenant_id, "{line}");
    assert_eq!(line["org_id"], *operation.org_id, "{line}");
    assert!(line["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
}

/// Asserts that every failed attempt but the last, and the end, were logged.
fn assert_logged(worker: &Child, operation: &v1::Operation) {
    let failed = lines(worker, FAILED);
    let attempts: Vec<i64> = failed.iter().filter_map(|line| line["attempt"].as_i64()).collect();
    assert_eq!(attempts, (1..=11).collect::<Vec<i64>>(), "{failed:#?}");
    for line in &failed {
        assert_attributed(line, operation);
        assert_eq!((&line["level"], &line["attempts"]), (&"WARN".into(), &12.into()), "{line}");
        assert!(line["next_attempt_at"].as_str().is_some_and(|at| at.len() > 10), "{line}");
        assert!(line["error"].as_str().is_some_and(|error| !error.is_empty()), "{line}");
    }
    let ended = lines(worker, "operation ended");
    assert!(!ended.is_empty());
    for line in ended.iter().filter(|line| line["state"] == "FAILED") {
        assert_attributed(line, operation);
    }
}

async fn cancel(api: &Api, operation: &v1::Operation) {
    let request = v1::CancelOperationRequest { operation_id: operation.id.clone() };
    api.operations().cancel_operation(request).await.expect("cancel");
}

/// Waits until the operation has failed as one that could not be undone.
async fn given_up(api: &Api, operation: &v1::Operation, left: &str) {
    let ended = api.wait(operation).await;
    assert_eq!(ended.state(), State::Failed, "{ended:#?}");
    let error = ended.error.expect("error");
    assert_eq!(error.reason, "UNDO_FAILED");
    assert!(error.message.contains("it could not be undone: "), "{}", error.message);
    assert!(error.message.ends_with(left), "{}", error.message);
}

/// Waits until the operation says that undoing it has failed and when it is
/// tried again.
async fn is_seen_to_wait(api: &Api, operation: &v1::Operation) {
    let begun = Instant::now();
    loop {
        let seen = api.operation(&operation.id).await;
        assert!(begun.elapsed() < PATIENCE, "{seen:?}");
        assert_ne!(seen.state(), State::Failed, "not seen to wait: {seen:?}");
        if seen.undoing && seen.next_attempt_at.is_some() {
            assert!(seen.attempt >= 1 && seen.max_attempts == 12, "{seen:?}");
            assert!(!seen.reason.is_empty() && seen.reason != "cancelled on request", "{seen:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_backup_whose_objects_cannot_be_deleted_fails_lists_them_and_its_lane_goes_on() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&create).await;
    worker.terminate().await;
    let backup = api.create_backup("acme", "hq").await;
    let point = "CreateBackup.dump_database.after_init";
    env.worker("w", &[("YUANTUS_CRASH_AT", point)]).crashed().await;
    cancel(&api, &backup).await;
    env.s3.faults().fail_next(u64::MAX);

    let mut worker = env.worker("w", &[]);
    is_seen_to_wait(&api, &backup).await;
    let migrate = api.apply_migrations("acme", "hq").await;
    let prefix = place(&env, &backup).await;
    given_up(&api, &backup, &format!("left behind: backup prefix {prefix}")).await;
    api.succeed(&migrate).await;
    assert_eq!(orphans(&env).await, [format!("backup_prefix {prefix}")]);
    assert_logged(&worker, &backup);
    worker.terminate().await;

    env.s3.faults().clear();
    let point = ("YUANTUS_CRASH_AT", "remove_orphan.after_removal");
    env.identity().await.execute("UPDATE orphans SET next_attempt_at = now()").await.expect("due");
    env.worker("w", &[point]).crashed().await;
    let worker = env.worker("w", &[]);
    orphans_are_gone(&env, &worker).await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn undoing_that_fails_for_a_while_and_is_killed_ends_well() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&create).await;
    worker.terminate().await;
    let backup = api.create_backup("acme", "hq").await;
    let point = "CreateBackup.dump_database.after_manifest";
    env.worker("w", &[("YUANTUS_CRASH_AT", point)]).crashed().await;
    cancel(&api, &backup).await;
    env.s3.faults().fail_next(u64::MAX);
    for point in ["CreateBackup.unwind.after:2", "CreateBackup.unwind.before:2"] {
        env.worker("w", &[("YUANTUS_CRASH_AT", point)]).crashed().await;
    }
    env.s3.faults().clear();
    let _worker = env.worker("w", &[]);
    let ended = api.wait(&backup).await;
    assert_eq!(ended.state(), State::Cancelled, "{ended:#?}");
    assert!(orphans(&env).await.is_empty());
    assert_tidy(&env).await;
}

/// Where the only claim of a backup's operation has written.
async fn place(env: &TestEnv, backup: &v1::Operation) -> String {
    let sql = "SELECT prefix FROM backup_prefixes WHERE backup_id = $1::uuid";
    let place = sqlx::query_scalar(sql).bind(backup_id(backup));
    place.fetch_one(&mut env.identity().await).await.expect("a recorded place")
}

/// An org whose database PostgreSQL refuses to drop, and whose operation has
/// been given up for that.
async fn stuck_org(env: &TestEnv, api: &Api, org: &str) -> v1::Operation {
    let operation = api.create_org("acme", org).await;
    // Without spares it makes a database of its own, which no org has had yet.
    let point = "CreateDatabase.assign_database.after_clone";
    let variables = [("YUANTUS_CRASH_AT", point), ("YUANTUS_TENANTS__SPARE_TARGET", "0")];
    env.worker("w", &variables).crashed().await;
    cancel(api, &operation).await;
    let name = own_spare(&operation);
    set_template(env, &name, true).await;
    let mut worker = env.worker("w", &[]);
    given_up(api, &operation, &format!("left behind: database {name}")).await;
    assert_eq!(orphans(env).await, [format!("database {name}")]);
    assert_logged(&worker, &operation);
    worker.terminate().await;
    operation
}

/// The database that an operation makes for an org where there is no spare.
fn own_spare(operation: &v1::Operation) -> String {
    format!("yuantus_mt_spare__{}", operation.id.replace('-', ""))
}

/// A superuser marks the database as a template, which is never dropped.
async fn set_template(env: &TestEnv, name: &str, template: bool) {
    let sql = format!("ALTER DATABASE \"{name}\" IS_TEMPLATE {template}");
    env.identity().await.execute(sqlx::AssertSqlSafe(sql)).await.expect("template");
}

#[tokio::test]
async fn a_database_that_is_not_dropped_is_listed_and_dropped_once_it_can_be() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let operation = stuck_org(&env, &api, "hq").await;
    set_template(&env, &own_spare(&operation), false).await;
    let worker = env.worker("w", &[]);
    orphans_are_gone(&env, &worker).await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn an_operation_that_is_retried_takes_back_what_it_left() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let operation = stuck_org(&env, &api, "hq").await;
    let retry = v1::RetryOperationRequest { operation_id: operation.id.clone() };
    api.operations().retry_operation(retry).await.expect("retry");
    assert!(orphans(&env).await.is_empty());
    let _worker = env.worker("w", &[]);
    api.succeed(&operation).await;
    assert_usable(&api, "acme", "hq").await;
    set_template(&env, &database("acme", "hq"), false).await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn an_orphan_that_is_in_use_by_now_is_not_removed() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    api.succeed(&create).await;
    api.succeed(&api.create_backup("acme", "hq").await).await;
    // As an identity database would say that was rolled back.
    let rows = "INSERT INTO orphans (kind, name, operation_id, tenant_id, org_id, reason)
        SELECT 'database', name, $1::uuid, tenant_id, org_id, 'stale' FROM databases UNION ALL
        SELECT 'role', role, $1::uuid, tenant_id, org_id, 'stale' FROM databases UNION ALL
        SELECT 'backup_prefix', prefix, $1::uuid, tenant_id, org_id, 'stale' FROM backups";
    let listed = sqlx::query(rows).bind(&create.id).execute(&mut env.identity().await).await;
    assert_eq!(listed.expect("orphans").rows_affected(), 3);
    orphans_are_gone(&env, &_worker).await;
    assert_usable(&api, "acme", "hq").await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn undoing_that_loses_its_worker_every_time_ends_too() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&create).await;
    worker.terminate().await;
    let backup = api.create_backup("acme", "hq").await;
    let point = "CreateBackup.dump_database.after_init";
    env.worker("w", &[("YUANTUS_CRASH_AT", point)]).crashed().await;
    cancel(&api, &backup).await;
    for _ in 0..12 {
        env.worker("w", &[("YUANTUS_CRASH_AT", "CreateBackup.unwind.before")]).crashed().await;
    }
    let worker = env.worker("w", &[]);
    given_up(&api, &backup, &place(&env, &backup).await).await;
    orphans_are_gone(&env, &worker).await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn an_operation_that_waits_for_its_next_attempt_is_cancelled_at_once() {
    let env = TestEnv::start().await;
    let hour = [
        ("YUANTUS_WORKER__BACKOFF_INITIAL_SECONDS", "3600"),
        ("YUANTUS_WORKER__BACKOFF_MAX_SECONDS", "3600"),
    ];
    let api = env.api().await;
    let worker = env.worker("w", &hour);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    env.s3.faults().fail_next(u64::MAX);
    let backup = api.create_backup("acme", "hq").await;
    let begun = Instant::now();
    while api.operation(&backup.id).await.next_attempt_at.is_none() {
        assert!(begun.elapsed() < PATIENCE, "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    env.s3.faults().clear();
    cancel(&api, &backup).await;
    let ended = api.wait(&backup).await;
    assert_eq!(ended.state(), State::Cancelled, "{ended:#?}");
    assert_tidy(&env).await;
}
