//! Bundles nobody here wrote, and bundles with mistakes in them.

use std::fs;

use sqlx::{Connection, PgConnection};
use yuantus_proto::v1::{self, operation::State};
use yuantus_test_support::{Api, TestEnv, backup_id, published_bundle};

use crate::{
    quiet::assert_quiet,
    settle::settle,
    tidy::assert_tidy,
    world::{database, fingerprint, run_as_owner},
};

/// Creates an org under a bundle, uses it, backs it up, breaks it, restores it.
async fn lives(package: &str, fill: &str, read: &'static str, wreck: &str) {
    let env = TestEnv::start().await;
    let bundle = published_bundle(package);
    let checked = env.cli(&["bundle", "check", &bundle, "-o", "name"], &[], "").await.succeeded();
    let variables = [("YUANTUS_BUNDLE", &*bundle)];
    let mut api = env.api_with(&variables).await;
    let mut worker = env.worker("w", &variables);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let request = v1::GetMigrationStatusRequest { tenant_id: "acme".into(), org_id: "hq".into() };
    let status = api.migrations().get_migration_status(request).await.expect("status");
    assert!(status.get_ref().up_to_date, "{status:?}");
    let newest = checked.text().lines().last().expect("migrations").to_owned();
    assert_eq!(status.get_ref().revision.to_string(), newest);

    let name = database("acme", "hq");
    run_as_owner(&env, &name, fill).await;
    let before = fingerprint(&env, &name).await;
    assert_eq!(reads(&api, read).await, 50);
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    run_as_owner(&env, &name, wreck).await;
    assert_ne!(fingerprint(&env, &name).await, before);
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    assert_eq!(fingerprint(&env, &name).await, before);
    assert_eq!(reads(&api, read).await, 50);
    settle(&env).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &[]);
    assert_tidy(&env).await;
}

/// What the org's own role reads.
async fn reads(api: &Api, sql: &'static str) -> i64 {
    let url = api.connection("acme", "hq").await;
    let mut connection = PgConnection::connect(&url).await.expect("the org's connection");
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("count");
    connection.close().await.expect("close");
    count
}

#[tokio::test]
async fn a_published_bundle_of_dated_files_with_extensions_works() {
    let fill = "
        INSERT INTO apalis.workers (id, worker_type, storage_name)
        SELECT 'worker-' || n, 'a', 'b' FROM generate_series(1, 50) n;";
    let read = "SELECT count(*) FROM apalis.workers";
    lives("apalis-postgres", fill, read, "DROP SCHEMA apalis CASCADE").await;
}

/// Its index calls a function that finds another by the search path, which
/// `pg_dump` leaves empty.
#[tokio::test]
async fn a_published_bundle_whose_index_needs_the_search_path_is_restored() {
    let fill = "INSERT INTO mq_payloads (id, name, payload_json)
        SELECT gen_random_uuid(), 'job ' || n, jsonb_build_object('n', n)
        FROM generate_series(1, 50) n";
    let read = "SELECT count(*) FROM mq_payloads WHERE name LIKE 'job %'";
    lives("sqlxmq", fill, read, "DELETE FROM mq_payloads WHERE name LIKE 'job 1%'").await;
}

/// A file's name and text.
type File = (&'static str, &'static [u8]);

/// Bundles that are refused for what is in the directory, and what is said.
const REFUSED: &[(&[File], &str)] = &[
    (&[("1_a.sql", b"SELECT 1;"), ("3_c.sql", b"SELECT 1;")], "migration 2 is missing"),
    (&[("1_a.sql", b"SELECT 1;"), ("01_b.sql", b"SELECT 1;")], "are both version 1"),
    (&[("1_a.sql", b"SELECT 1;"), ("V2__b.sql", b"SELECT 1;")], "different conventions"),
    (&[("1_a.sql", b"SELECT 1;\n\nSELECT 'open;\n")], "1_a.sql:3: "),
    (&[("1_a.sql", b"SELECT 1;\n\\connect postgres\n")], "1_a.sql:2: "),
    (&[("1_a.sql", b"SELECT 1;\nSELECT '\xff';\n")], "1_a.sql:2: is not UTF-8 text"),
    (&[("first.sql", b"SELECT 1;")], "first.sql: must be named"),
    (&[("1_a.sql", b"SELECT 1;"), ("1_b.check.sql", b"SELECT 1;")], "1_b.check.sql: checks"),
    (&[("readme.txt", b"nothing")], "holds no .sql file"),
    (
        &[("1_a.sql", b"-- migrate:up\nSELECT 1;\n\n-- migrate:down\nDROP TABLE a;\n")],
        "1_a.sql:4: begins the half that goes back, as dbmate writes it",
    ),
    (
        &[("1_a.sql", b"SELECT 1;\nDO $$ BEGIN\n  SET ROLE postgres;\nEND $$;\n")],
        "1_a.sql:3: makes the session act as another role",
    ),
];

#[tokio::test]
async fn a_bundle_with_mistakes_is_refused_before_any_database_is_touched() {
    let env = TestEnv::start().await;
    for (number, (files, expected)) in REFUSED.iter().enumerate() {
        let bundle = env.dir().join(format!("bundle-{number}"));
        fs::create_dir(&bundle).expect("bundle");
        for (name, text) in *files {
            fs::write(bundle.join(name), text).expect("migration");
        }
        let bundle = bundle.to_string_lossy().into_owned();
        let checked = env.cli(&["bundle", "check", &bundle], &[], "").await;
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert!(checked.stderr.contains(expected), "{expected}: {}", checked.stderr);
        for command in [&["start", "--port", "0"][..], &["worker", "--once"]] {
            let mut child = env.spawn("refused", command, &[("YUANTUS_BUNDLE", &bundle)]);
            let status = child.ended().await;
            assert_eq!(status.code(), Some(1), "{command:?}");
            assert!(child.log().contains(expected), "{expected}: {}", child.log());
        }
    }
    let sql = "SELECT count(*) FROM pg_database WHERE datname LIKE 'yuantus\\_mt\\_%'";
    let made: i64 =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect("catalog");
    assert_eq!(made, 0);
}

#[tokio::test]
async fn sql_the_server_refuses_is_named_by_file_and_line_and_can_be_corrected() {
    let env = TestEnv::start().await;
    let bundle = env.dir().join("bundle");
    fs::create_dir(&bundle).expect("bundle");
    let path = bundle.to_string_lossy().into_owned();
    let variables = [("YUANTUS_BUNDLE", &*path)];
    fs::write(bundle.join("1_shop.sql"), "CREATE TABLE shop (id int);").expect("migration");
    let bad = "CREATE TABLE goods (id int);\n\nALTER TABLE shpo ADD COLUMN name text;\n";
    fs::write(bundle.join("2_goods.sql"), bad).expect("migration");
    let failed = {
        let api = env.api_with(&variables).await;
        let mut worker = env.worker("w", &variables);
        api.create_tenant("acme").await;
        let created = api.create_org("acme", "hq").await;
        let failed = api.wait(&created).await;
        assert_eq!(failed.state(), State::Failed, "{failed:?}");
        let error = failed.error.clone().expect("error");
        for part in ["2_goods.sql:3", "relation \"shpo\" does not exist"] {
            assert!(error.message.contains(part), "{part}: {error:?}");
        }
        let request = v1::GetOrgRequest { tenant_id: "acme".into(), org_id: "hq".into() };
        let org = api.orgs().get_org(request).await.expect("org").into_inner();
        assert_eq!(org.status(), v1::org::Status::Failed);
        assert!(org.reason.contains("2_goods.sql:3"), "{}", org.reason);
        worker.terminate().await;
        failed
    };
    let good = "CREATE TABLE goods (id int);\n\nALTER TABLE shop ADD COLUMN name text;\n";
    fs::write(bundle.join("2_goods.sql"), good).expect("migration");
    {
        let api = env.api_with(&variables).await;
        let mut worker = env.worker("w", &variables);
        let request = v1::RetryOperationRequest { operation_id: failed.id.clone() };
        api.operations().retry_operation(request).await.expect("retry");
        api.succeed(&failed).await;
        worker.terminate().await;
    }
    let before = fingerprint(&env, &database("acme", "hq")).await;
    assert!(before.contains_key("public.goods"), "{before:?}");

    // A migration that was applied does not change any more.
    fs::write(bundle.join("1_shop.sql"), "CREATE TABLE shop (id bigint);").expect("migration");
    fs::write(bundle.join("3_more.sql"), "CREATE TABLE more (id int);").expect("migration");
    let api = env.api_with(&variables).await;
    let _worker = env.worker("w", &variables);
    let request = v1::ApplyMigrationsRequest {
        tenant_id: "acme".into(),
        org_id: "hq".into(),
        ..Default::default()
    };
    let apply = api.migrations().apply_migrations(request).await.expect("apply").into_inner();
    let failed = api.wait(&apply).await;
    let error = failed.error.expect("error");
    assert!(error.message.contains("1_shop.sql: was changed after it was applied"), "{error:?}");
    assert_eq!(fingerprint(&env, &database("acme", "hq")).await, before);
    assert_tidy(&env).await;
}
