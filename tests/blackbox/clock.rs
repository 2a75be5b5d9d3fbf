//! Clocks that are wrong: nothing is lost by their age, nothing waits for a day
//! that a wrong clock named, and tokens go by one clock.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use yuantus_proto::v1;
use yuantus_test_support::{Child, TestEnv, backup_id};

use crate::{
    authentication::{ADMIN_PASSWORD, call, locked, login},
    tidy::assert_tidy,
    world::assert_usable,
};

/// Long enough for whatever is waited for here.
const PATIENCE: Duration = Duration::from_secs(120);

async fn run(env: &TestEnv, sql: &str) {
    env.identity().await.execute(AssertSqlSafe(sql.to_owned())).await.expect("statement");
}

async fn count(env: &TestEnv, sql: &str) -> i64 {
    let counted = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    counted.fetch_one(&mut env.identity().await).await.expect("count")
}

/// Waits until `sql` counts `wanted`.
async fn counts(env: &TestEnv, worker: &Child, sql: &str, wanted: i64) {
    let begun = Instant::now();
    while count(env, sql).await != wanted {
        assert!(begun.elapsed() < PATIENCE, "{sql}; the log:\n{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lists an orphan that is none: the leader's round has taken it off the list
/// when it has come past everything that is deleted by its age.
async fn mark_round(env: &TestEnv) {
    run(
        env,
        "INSERT INTO orphans (kind, name, operation_id, tenant_id, org_id, reason)
        SELECT 'database', name, gen_random_uuid(), tenant_id, org_id, '' FROM databases",
    )
    .await;
}

async fn round_passes(env: &TestEnv, worker: &Child) {
    counts(env, worker, "SELECT count(*) FROM orphans", 0).await;
}

/// What a clock that goes `days` ahead, at once, makes of all that was written
/// before: it is so many days older.
async fn jump(env: &TestEnv, days: i32) {
    for (table, columns) in [
        ("clock", &["vetted_at"][..]),
        ("tombstones", &["expires_at"]),
        ("operations", &["finished_at"]),
        ("sessions", &["created_at", "last_used_at", "expires_at"]),
    ] {
        let set: Vec<_> =
            columns.iter().map(|c| format!("{c} = {c} - interval '{days} days'")).collect();
        run(env, &format!("UPDATE {table} SET {}", set.join(", "))).await;
    }
}

const TOMBSTONES: &str = "SELECT count(*) FROM tombstones JOIN pg_database ON datname = name";
const LEFT: &str = "SELECT (SELECT count(*) FROM operations) + (SELECT count(*) FROM sessions)";
const DOUBTED: &str = "SELECT count(*) FROM clock WHERE doubt <> ''";
const LOOKED: &str = "SELECT count(*) FROM clock WHERE boot_id <> ''";

/// An environment with a tombstone, a session that has ended, and a look at the
/// clock; no worker runs.
async fn with_tombstone() -> TestEnv {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&api.create_org("acme", "hq").await).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    counts(&env, &worker, TOMBSTONES, 1).await;
    counts(&env, &worker, LOOKED, 1).await;
    worker.terminate().await;
    run(
        &env,
        "INSERT INTO sessions (id, kind, tenant_id, client_ip, user_agent, expires_at)
        VALUES (gen_random_uuid(), 'break_glass', 'platform', '', '', now())",
    )
    .await;
    env
}

#[tokio::test]
async fn nothing_is_deleted_by_a_clock_that_jumped_until_a_person_confirms_it() {
    let env = with_tombstone().await;
    let before = count(&env, LEFT).await;
    jump(&env, 8).await;
    mark_round(&env).await;
    let mut worker = env.worker("w", &[]);
    round_passes(&env, &worker).await;
    assert_eq!(count(&env, DOUBTED).await, 1);
    assert_eq!((count(&env, TOMBSTONES).await, count(&env, LEFT).await), (1, before));
    let log = worker.log();
    assert!(log.contains("clock is not believed") && log.contains("yuantus db confirm-clock"));
    worker.terminate().await;

    let settings = env.variables();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (&**n, &**v)).collect();
    let confirmed = env.cli(&["db", "confirm-clock"], &settings, "").await.succeeded();
    assert!(confirmed.stderr.contains("is believed again"), "{confirmed:?}");
    let audited = "SELECT count(*) FROM audit_logs WHERE action = 'clock.confirm'";
    assert_eq!(count(&env, audited).await, 1);
    let worker = env.worker("w", &[]);
    counts(&env, &worker, "SELECT count(*) FROM tombstones", 0).await;
    counts(&env, &worker, "SELECT count(*) FROM sessions", 0).await;
    assert_eq!(count(&env, DOUBTED).await, 0);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_clock_that_is_back_where_it_was_is_believed_again() {
    let env = with_tombstone().await;
    for days in [8, -3] {
        jump(&env, days).await;
        let mut worker = env.worker("w", &[]);
        counts(&env, &worker, DOUBTED, 1).await;
        worker.terminate().await;
        jump(&env, -days).await;
        mark_round(&env).await;
        let mut worker = env.worker("w", &[]);
        round_passes(&env, &worker).await;
        assert_eq!((count(&env, DOUBTED).await, count(&env, TOMBSTONES).await), (0, 1), "{days}");
        worker.terminate().await;
    }
    assert_tidy(&env).await;
}

#[tokio::test]
async fn what_a_clock_that_was_ahead_put_off_for_a_day_is_done_now() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    // Claimed by the clock of tomorrow, by a worker that is dead since.
    let create = api.create_org("acme", "hq").await;
    let point = ("YUANTUS_CRASH_AT", "CreateDatabase.assign_database.before");
    env.worker("dead", &[point]).crashed().await;
    run(&env, "UPDATE operations SET lease_expires_at = now() + interval '1 day'").await;
    let lease = [("YUANTUS_WORKER__LEASE_SECONDS", "3"), ("YUANTUS_TENANTS__SPARE_TARGET", "0")];
    let mut worker = env.worker("w", &lease);
    api.succeed(&create).await;
    assert!(worker.log().contains("leases were written by a clock that was ahead"));
    worker.terminate().await;

    // The same, and cancelled.
    let backup = api.create_backup("acme", "hq").await;
    let point = ("YUANTUS_CRASH_AT", "CreateBackup.open_repository.before");
    env.worker("dead", &[point]).crashed().await;
    let running = "UPDATE operations SET lease_expires_at = now() + interval '1 day'
        WHERE state = 'RUNNING'";
    run(&env, running).await;
    let cancel = v1::CancelOperationRequest { operation_id: backup.id.clone() };
    api.operations().cancel_operation(cancel).await.expect("cancel");
    let mut worker = env.worker("w", &lease);
    let ended = api.wait(&backup).await;
    assert_eq!(ended.state(), v1::operation::State::Cancelled, "{ended:#?}");
    worker.terminate().await;

    // Given back by the clock of tomorrow.
    let apply = api.apply_migrations("acme", "hq").await;
    run(
        &env,
        "UPDATE operations SET updated_at = now() + interval '1 day',
        run_at = now() + interval '1 day 2 seconds' WHERE state = 'PENDING'",
    )
    .await;
    let _worker = env.worker("w", &lease);
    api.succeed(&apply).await;
    assert_usable(&api, "acme", "hq").await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_session_that_a_clock_ahead_opened_ends_when_it_should() {
    let env = locked().await;
    let api = env.api().await;
    let token = login(&api, "platform", "root", ADMIN_PASSWORD).await;
    let ends = "SELECT extract(epoch FROM expires_at)::bigint FROM sessions";
    let before = count(&env, ends).await;
    jump(&env, -5).await;
    // The clock itself is right.
    run(&env, "UPDATE clock SET vetted_at = now(), boot_id = ''").await;
    assert_eq!(count(&env, ends).await, before + 5 * 86400);
    let worker = env.worker("w", &[]);
    let late = format!("SELECT count(*) FROM ({ends}) s (ends) WHERE ends > {before} + 120");
    counts(&env, &worker, &late, 0).await;
    assert!(count(&env, ends).await >= before);
    call(&api, Some(&token), "ListTenants", json!({})).await.expect("the session goes on");
}

/// The library that gives a process another clock.
fn faketime() -> String {
    let path = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
    assert!(std::path::Path::new(&path).is_file(), "Debian's package faketime has {path}");
    path
}

#[tokio::test]
async fn logins_work_at_an_api_whose_clock_is_a_day_behind_or_ahead() {
    let env = locked().await;
    let library = faketime();
    let right = env.api().await;
    for (shift, offset) in [("-1d", 86400), ("+1d", -86400)] {
        let clock =
            [("LD_PRELOAD", &*library), ("FAKETIME", shift), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let wrong = env.api_with(&clock).await;
        let token = login(&wrong, "platform", "root", ADMIN_PASSWORD).await;
        for api in [&wrong, &right] {
            call(api, Some(&token), "ListTenants", json!({})).await.expect(shift);
        }
        let token = login(&right, "platform", "root", ADMIN_PASSWORD).await;
        call(&wrong, Some(&token), "ListTenants", json!({})).await.expect(shift);
        let ready = reqwest::get(format!("{}/readyz", wrong.url)).await.expect("answer");
        assert_eq!(ready.status(), StatusCode::OK);
        let ready: Value = ready.json().await.expect("JSON");
        let said = ready["clock_offset_seconds"].as_i64().expect("the offset");
        assert!((said - offset).abs() < 60, "{ready}");
        assert!(wrong.child.log().contains("clock and the identity database's differ"));
    }
    let ready = reqwest::get(format!("{}/readyz", right.url)).await.expect("answer");
    assert_eq!(ready.json::<Value>().await.expect("JSON"), json!({"ok": true}));
}

#[tokio::test]
async fn what_a_clock_that_is_behind_buries_is_kept_as_long_as_was_meant() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    worker.terminate().await;
    // As if the clock had gone back eight days since it was found right.
    let mut identity = env.identity().await;
    let back = "UPDATE clock SET vetted_at = now() + interval '8 days'";
    let changed = sqlx::query(back).execute(&mut identity).await.expect("clock");
    assert_eq!(changed.rows_affected(), 1);
    let restore = api.restore("acme", "hq", backup_id(&backup)).await;
    // One that works once looks after nothing else.
    let mut once = env.spawn("once", &["worker", "--once"], &[]);
    assert!(once.ended().await.success(), "{}", once.log());
    api.succeed(&restore).await;
    let kept = "SELECT bool_and(expires_at > now() + interval '14 days') FROM tombstones";
    let kept: bool = sqlx::query_scalar(kept).fetch_one(&mut identity).await.expect("tombstone");
    assert!(kept, "a week from the time that was found right");
}
