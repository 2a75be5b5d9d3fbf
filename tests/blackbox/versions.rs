//! Servers of other versions than the one that is installed: their own client
//! programs are taken, or nothing is begun; limits that a server sets for
//! transactions do not end ours.

use std::time::{Duration, Instant};

use sqlx::{Connection, Executor};
use yuantus_proto::v1::operation::State;
use yuantus_test_support::{Options, TestEnv, backup_id, path, postgres_programs};

use crate::{
    settle::settle,
    tidy::assert_tidy,
    world::{assert_usable, database, fill, fingerprint, run_as_owner},
};

async fn of_version(major: u32, settings: &[(&str, &str)]) -> TestEnv {
    let setting = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let postgres_settings = settings.iter().map(setting).collect();
    let options = Options { postgres: Some(major), postgres_settings, ..Options::default() };
    TestEnv::start_with(options).await
}

/// `PATH` with the programs of these versions first.
fn path_with(majors: &[u32]) -> String {
    let first: Vec<String> =
        majors.iter().map(|major| postgres_programs(*major).display().to_string()).collect();
    first.join(":") + ":" + &path()
}

#[tokio::test]
async fn programs_of_the_servers_own_version_are_taken_wherever_they_are() {
    let env = of_version(16, &[]).await;
    let api = env.api().await;
    let path = path_with(&[18, 16]);
    let mut worker = env.worker("w", &[("PATH", &path)]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let name = database("acme", "hq");
    fill(&env, &name, 300).await;
    let before = fingerprint(&env, &name).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    fill(&env, &name, 400).await;
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    assert_eq!(fingerprint(&env, &name).await, before);
    assert_usable(&api, "acme", "hq").await;
    worker.terminate().await;

    let newer = path_with(&[18]);
    let mut worker = env.worker("w", &[("PATH", &newer)]);
    let refused = api.wait(&api.create_backup("acme", "hq").await).await;
    assert_eq!(refused.state(), State::Failed, "{refused:#?}");
    let error = refused.error.expect("error");
    assert_eq!(error.reason, "CLIENT_PROGRAMS_MISSING", "{error:?}");
    for says in ["`pg_dump` of PostgreSQL 16", "18.4 in "] {
        assert!(error.message.contains(says), "{error:?}");
    }
    let refused = api.wait(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    let error = refused.error.expect("error");
    assert_eq!(error.reason, "CLIENT_PROGRAMS_MISSING", "{error:?}");
    assert_eq!(fingerprint(&env, &name).await, before, "nothing was begun");
    settle(&env).await;
    worker.terminate().await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn limits_that_a_server_sets_do_not_end_our_work() {
    let limits = [
        ("transaction_timeout", "400ms"),
        ("statement_timeout", "400ms"),
        ("idle_in_transaction_session_timeout", "400ms"),
        ("idle_session_timeout", "400ms"),
        ("lock_timeout", "400ms"),
    ];
    // The identity database is on the same server here, and has time enough.
    let env = of_version(18, &[]).await;
    let api = env.api().await;
    let path = path_with(&[18]);
    let mut worker = env.worker("w", &[("PATH", &path)]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let name = database("acme", "hq");
    fill(&env, &name, 300).await;
    // Whoever makes it waits longer than any limit, at the restore too.
    let slow = "CREATE MATERIALIZED VIEW slow AS SELECT pg_sleep(0.8)::text AS slept";
    run_as_owner(&env, &name, slow).await;
    let before = fingerprint(&env, &name).await;
    let mut server = env.connect("postgres").await;
    for (limit, value) in limits {
        let sql = format!("ALTER ROLE postgres SET {limit} = '{value}'");
        server.execute(sqlx::AssertSqlSafe(sql)).await.expect("limit");
    }
    let unlimited = "ALTER ROLE postgres IN DATABASE yuantus_identity SET ";
    for (limit, _) in limits {
        let sql = format!("{unlimited} {limit} = 0");
        server.execute(sqlx::AssertSqlSafe(sql)).await.expect("limit");
    }
    worker.terminate().await;
    let mut worker = env.worker("w", &[("PATH", &path)]);

    // A dump that has to wait for a lock, longer than any limit.
    let mut holder = env.connect(&name).await;
    let hold = "SET transaction_timeout = 0; SET statement_timeout = 0;
        SET idle_in_transaction_session_timeout = 0; BEGIN; LOCK TABLE parts";
    holder.execute(hold).await.expect("lock");
    let backup = api.create_backup("acme", "hq").await;
    waits_longer(&env, &name).await;
    holder.execute("COMMIT").await.expect("commit");
    holder.close().await.expect("close");
    api.succeed(&backup).await;
    fill(&env, &name, 301).await;
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    assert_eq!(fingerprint(&env, &name).await, before);
    worker.terminate().await;
    assert_tidy(&env).await;
}

/// Waits until a session has waited for a lock in a database for longer than
/// any limit, and is still there.
async fn waits_longer(env: &TestEnv, database: &str) {
    let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = $1
        AND wait_event_type = 'Lock' AND clock_timestamp() - xact_start > '900 ms')";
    let mut server = env.identity().await;
    let begun = Instant::now();
    while !sqlx::query_scalar::<_, bool>(sql)
        .bind(database)
        .fetch_one(&mut server)
        .await
        .expect(sql)
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing waits in {database}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
