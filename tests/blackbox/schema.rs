//! The identity database's schema, up and down.

use futures::future::join_all;
use serde_json::Value;
use sqlx::{Executor, PgConnection};
use yuantus_identity::{connect, migration};
use yuantus_test_support::TestEnv;

/// What is there but the migrations' own record: columns, constraints,
/// indexes, functions and triggers.
const SCHEMA: &str = "
    SELECT concat_ws(' ', 'column', table_name, column_name, data_type, is_nullable, column_default)
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'
    UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname,
        pg_get_constraintdef(oid))
    FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid <> 'seaql_migrations'::regclass
    UNION ALL SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'seaql_migrations'
    UNION ALL SELECT concat_ws(' ', 'function', pg_get_functiondef(oid)) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(oid)) FROM pg_trigger
    WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', 'sequence', sequencename) FROM pg_sequences
    WHERE schemaname = 'public'
    ORDER BY 1";

async fn schema(identity: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(SCHEMA).fetch_all(identity).await.expect("schema")
}

#[tokio::test]
async fn every_migration_can_be_reverted_and_applied_again() {
    let env = TestEnv::start().await;
    let mut identity = env.identity().await;
    let db = connect(&env.database_url("yuantus_identity"), 2, "test").expect("pool");
    let all = migration::history(&db).await.expect("history").len();
    let whole = schema(&mut identity).await;
    assert!(whole.len() > 100, "{whole:?}");
    for steps in 1..=all {
        let steps = u32::try_from(steps).expect("number");
        let reverted = migration::downgrade(&db, steps).await.expect("downgrade");
        assert_eq!(reverted.len(), steps as usize);
        if reverted.len() == all {
            assert_eq!(schema(&mut identity).await, Vec::<String>::new());
        }
        let applied = migration::upgrade(&db).await.expect("upgrade");
        assert!(applied.iter().eq(reverted.iter().rev()), "{applied:?}");
        assert_eq!(schema(&mut identity).await, whole, "after {steps}");
    }
    env.api().await.create_tenant("acme").await;
}

/// What every process says that finds this schema.
async fn refused_everywhere(env: &TestEnv, url: &str, expected: &str) {
    let identity = [("YUANTUS_IDENTITY_DATABASE_URL", url)];
    for command in [
        &["start", "--port", "0"][..],
        &["worker"],
        &["worker", "--once"],
        &["db", "grant", "somebody"],
        &["db", "break-glass", "--reason", "test"],
    ] {
        let mut child = env.spawn("refused", command, &identity);
        assert_eq!(child.ended().await.code(), Some(1), "{command:?}: {}", child.log());
        assert!(child.log().contains(expected), "{command:?}: {expected}: {}", child.log());
    }
}

#[tokio::test]
async fn every_process_refuses_an_older_or_a_newer_schema_and_a_running_one_is_not_ready() {
    let env = TestEnv::start().await;
    let url = env.database_url("yuantus_identity");
    let api = env.api().await;
    let ready = async || {
        let answer = reqwest::get(format!("{}/readyz", api.url)).await.expect("answer");
        let status = answer.status();
        let body: Value = answer.json().await.expect("body");
        (status.as_u16(), body["detail"].as_str().unwrap_or_default().to_owned())
    };
    let db = connect(&url, 2, "test").expect("pool");
    let newest = migration::history(&db).await.expect("history").pop().expect("migrations").name;
    migration::downgrade(&db, 1).await.expect("downgrade");
    let expected = format!("older than this program: it lacks {newest}; run `yuantus db upgrade`");
    refused_everywhere(&env, url.as_str(), &expected).await;
    let (status, detail) = ready().await;
    assert_eq!(status, 503);
    assert!(detail.contains(&expected), "{detail}");

    let mut upgrade = env.spawn("upgrade", &["db", "upgrade"], &[]);
    assert!(upgrade.ended().await.success(), "{}", upgrade.log());
    assert_eq!(ready().await.0, 200);
    let newer = "INSERT INTO seaql_migrations VALUES ('m29991231_000001_future', 0)";
    env.identity().await.execute(newer).await.expect("migration");
    let expected = "newer than this program: it has m29991231_000001_future";
    refused_everywhere(&env, url.as_str(), expected).await;
    let (status, detail) = ready().await;
    assert_eq!(status, 503);
    assert!(detail.contains(expected), "{detail}");

    let empty = env.database_url("empty");
    env.identity().await.execute("CREATE DATABASE empty").await.expect("database");
    refused_everywhere(&env, empty.as_str(), "it lacks m20261121_000001").await;
}

#[tokio::test]
async fn of_several_upgrades_of_a_missing_database_one_makes_it_and_the_others_go_on() {
    let env = TestEnv::start().await;
    for round in 0..3 {
        let url = env.database_url(&format!("another \"{round}\""));
        let bucket = format!("another-{round}");
        let identity = [
            ("YUANTUS_IDENTITY_DATABASE_URL", url.as_str()),
            ("YUANTUS_S3_BUCKET_NAME", bucket.as_str()),
        ];
        let mut upgrades: Vec<_> =
            (0..6).map(|_| env.spawn("upgrade", &["db", "upgrade"], &identity)).collect();
        let ended = join_all(upgrades.iter_mut().map(|upgrade| upgrade.ended())).await;
        let logs: Vec<String> = upgrades.iter().map(|upgrade| upgrade.log()).collect();
        assert!(ended.iter().all(|status| status.success()), "{logs:?}");
        let applied = logs.iter().filter(|log| log.contains("m20261121_000001")).count();
        assert_eq!(applied, 1, "{logs:?}");
        env.api_with(&identity).await.create_tenant("acme").await;
    }
}

#[tokio::test]
async fn an_identity_database_is_made_as_utf8_and_another_encoding_is_refused() {
    let env = TestEnv::start().await;
    // As `initdb -E LATIN1` leaves a cluster.
    let mut admin = env.connect("postgres").await;
    for sql in [
        "UPDATE pg_database SET datistemplate = false WHERE datname = 'template1'",
        "DROP DATABASE template1",
        "CREATE DATABASE template1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
        "UPDATE pg_database SET encoding = pg_char_to_encoding('LATIN1')
         WHERE datname = 'template0'",
        "CREATE DATABASE latin",
    ] {
        admin.execute(sql).await.expect(sql);
    }
    let url = env.database_url("another");
    let identity = [("YUANTUS_IDENTITY_DATABASE_URL", url.as_str())];
    let mut upgrade = env.spawn("upgrade", &["db", "upgrade"], &identity);
    assert!(upgrade.ended().await.success(), "{}", upgrade.log());
    let api = env.api_with(&identity).await;
    let name = "Zoë 漢字";
    let tenants = reqwest::Client::new().post(format!("{}/api/v1/tenants", api.url));
    let made = tenants.json(&serde_json::json!({"id": "l2", "name": name})).send().await;
    let made: Value = made.expect("answer").json().await.expect("tenant");
    assert_eq!(made["name"], name, "{made}");

    let url = env.database_url("latin");
    let identity = [("YUANTUS_IDENTITY_DATABASE_URL", url.as_str())];
    let expected = "is encoded as LATIN1, it must be UTF8";
    let mut upgrade = env.spawn("upgrade", &["db", "upgrade"], &identity);
    assert_eq!(upgrade.ended().await.code(), Some(1));
    assert!(upgrade.log().contains(expected), "{}", upgrade.log());
    refused_everywhere(&env, url.as_str(), expected).await;
}
