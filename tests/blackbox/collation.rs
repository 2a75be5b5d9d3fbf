//! A server whose libraries were changed under its databases.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Executor, PgConnection};
use yuantus_proto::v1::operation::State;
use yuantus_test_support::TestEnv;

use crate::{settle::settle, tidy::assert_tidy, world::assert_usable};

/// As an upgrade of the system leaves a database.
async fn change_libraries(server: &mut PgConnection, names: &str) {
    let sql = format!("UPDATE pg_database SET datcollversion = '1' WHERE datname LIKE '{names}'");
    let done = server.execute(AssertSqlSafe(sql)).await.expect("update");
    assert!(done.rows_affected() > 0, "{names}");
}

#[tokio::test]
async fn a_template_of_another_collation_version_is_built_anew_and_said_once() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "before").await).await;
    settle(&env).await;
    worker.terminate().await;
    let mut server = env.identity().await;
    change_libraries(&mut server, "yuantus\\_mt\\_%").await;
    change_libraries(&mut server, "template1").await;

    let mut worker = env.worker("w", &[]);
    for org in ["a", "b", "c", "d", "e", "f"] {
        api.succeed(&api.create_org("acme", org).await).await;
        assert_usable(&api, "acme", org).await;
    }
    settle(&env).await;
    let stale = "SELECT count(*) FROM pg_database WHERE datcollversion = '1'
        AND (datname LIKE 'yuantus\\_mt\\_tpl%' OR datname LIKE 'yuantus\\_mt\\_spare%')";
    let begun = Instant::now();
    // The loop replaces the spares that are left one after another.
    while sqlx::query_scalar::<_, i64>(stale).fetch_one(&mut server).await.expect("databases") > 0 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.terminate().await;
    let log = worker.log();
    assert_eq!(log.matches("the template is built anew").count(), 1, "{log}");
    assert_eq!(log.matches("could not do its work").count(), 0, "{log}");
    assert_tidy(&env).await;
}

#[tokio::test]
async fn where_nothing_can_be_made_the_cause_and_the_remedy_are_said_once() {
    let env = TestEnv::start().await;
    let mut server = env.identity().await;
    change_libraries(&mut server, "template0").await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    for org in ["a", "b"] {
        let failed = api.wait(&api.create_org("acme", org).await).await;
        assert_eq!(failed.state(), State::Failed, "{failed:?}");
        let message = failed.error.expect("error").message;
        let remedy = "run `ALTER DATABASE template0 REFRESH COLLATION VERSION`";
        assert!(message.contains(remedy), "{message}");
    }
    let mend = "UPDATE pg_database SET datcollversion = NULL WHERE datname = 'template0'";
    server.execute(mend).await.expect("mend");
    api.succeed(&api.create_org("acme", "c").await).await;
    settle(&env).await;
    worker.terminate().await;
    let log = worker.log();
    assert_eq!(log.matches("a loop could not do its work").count(), 1, "{log}");
    assert_tidy(&env).await;
}
