//! Without us: the stock `restic` and a plain `pg_restore` read a backup with
//! what `GetBackupKey` answers.

use secrecy::ExposeSecret;
use serde_json::Value;
use sha2::{Digest, Sha256};
use yuantus_proto::v1;
use yuantus_test_support::{Api, Ran, TestEnv, backup_id, path, run};

use crate::{
    tidy::assert_tidy,
    world::{database, fill, fingerprint, run_as_owner},
};

/// Runs `restic` as the owner of a backup would.
async fn restic(env: &TestEnv, key: &v1::BackupKey, password: &str, arguments: &[&str]) -> Ran {
    let s3 = env.s3_settings();
    let cache = env.dir().join("restic-cache").to_string_lossy().into_owned();
    let variables = [
        ("RESTIC_REPOSITORY", key.repository.clone()),
        ("RESTIC_PASSWORD", password.to_owned()),
        ("RESTIC_CACHE_DIR", cache),
        ("AWS_ACCESS_KEY_ID", s3.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", s3.secret_access_key.expose_secret().to_owned()),
        ("AWS_DEFAULT_REGION", s3.region),
        ("PATH", path()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    run("restic", arguments, variables, b"").await
}

/// Awkward data: what a dump has to carry besides plain tables.
const AWKWARD: &str = r#"
CREATE SCHEMA "Odd ""name""";
CREATE TYPE "Odd ""name""".mood AS ENUM ('sad', 'ok', 'happy;');
CREATE TABLE "Odd ""name"""."Ünïcode — table" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m "Odd ""name""".mood,
    t text DEFAULT E'a\nb\\c\td', j jsonb, b bytea, a int[]
);
INSERT INTO "Odd ""name"""."Ünïcode — table" (m, j, b, a)
SELECT 'happy;', jsonb_build_object('n', n, 's', E'\u00e9\n'), decode(md5(n::text), 'hex'),
       ARRAY[n, -n, NULL] FROM generate_series(1, 500) n;
CREATE TABLE empty_one (id int);
CREATE VIEW counted AS SELECT count(*) FROM parts;
CREATE MATERIALIZED VIEW heavy AS SELECT * FROM parts WHERE id < 10;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE INDEX ON parts (twice(id));
CREATE SEQUENCE lonely START 7;
SELECT nextval('lonely');
"#;

/// The manifest of a backup of acme/hq, and its key.
async fn look_up(api: &Api, backup: &str) -> (v1::BackupManifest, v1::BackupKey) {
    let (tenant_id, org_id) = ("acme".to_owned(), "hq".to_owned());
    let request = v1::GetBackupRequest {
        tenant_id: tenant_id.clone(),
        org_id: org_id.clone(),
        backup_id: backup.into(),
    };
    let manifest = api.backups().get_backup(request).await.expect("backup").into_inner().manifest;
    let request = v1::GetBackupKeyRequest { tenant_id, org_id, backup_id: backup.into() };
    let key = api.backups().get_backup_key(request).await.expect("key").into_inner();
    (manifest.expect("manifest"), key)
}

/// Loads a dump into a new database with nothing but `pg_restore`.
async fn load_elsewhere(env: &TestEnv, dump: &[u8]) {
    let mut admin = env.connect("postgres").await;
    let create = sqlx::query("CREATE DATABASE elsewhere TEMPLATE template0");
    create.execute(&mut admin).await.expect("database");
    let url = env.database_url("elsewhere");
    let variables = [
        ("PGHOST", url.host_str().expect("host")),
        ("PGPORT", &url.port().expect("port").to_string()),
        ("PGUSER", url.username()),
        ("PGPASSWORD", url.password().expect("password")),
        ("PATH", &path()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let arguments = ["--exit-on-error", "--dbname", "elsewhere"];
    let loaded = run("pg_restore", &arguments, variables, dump).await.succeeded();
    assert_eq!(loaded.stderr, "");
}

#[tokio::test]
async fn restic_and_pg_restore_bring_a_backup_back_without_us() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let name = database("acme", "hq");
    fill(&env, &name, 20_000).await;
    run_as_owner(&env, &name, AWKWARD).await;
    let before = fingerprint(&env, &name).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    let (manifest, key) = look_up(&api, backup_id(&backup)).await;
    assert_eq!(key.snapshot_id, manifest.snapshot_id);

    let listed = restic(&env, &key, &key.password, &["snapshots", "--json"]).await.succeeded();
    let listed: Value = serde_json::from_str(listed.text()).expect("snapshots");
    let ids: Vec<&Value> = listed.as_array().expect("list").iter().map(|s| &s["id"]).collect();
    assert_eq!(ids, [key.snapshot_id.as_str()]);
    restic(&env, &key, &key.password, &["check", "--read-data"]).await.succeeded();
    let arguments = ["dump", &key.snapshot_id, &key.dump_path];
    let dump = restic(&env, &key, &key.password, &arguments).await.succeeded().stdout;
    assert_eq!(hex::encode(Sha256::digest(&dump)), manifest.dump_sha256);
    assert_eq!(i64::try_from(dump.len()).expect("size"), manifest.dump_bytes);
    let refused = restic(&env, &key, "not-the-password", &["snapshots"]).await;
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("wrong password"), "{}", refused.stderr);

    load_elsewhere(&env, &dump).await;
    assert_eq!(fingerprint(&env, "elsewhere").await, before);
    let mut counts: Vec<i64> = manifest.tables.iter().map(|table| table.rows).collect();
    let mut expected: Vec<i64> = before.values().map(|(rows, _)| *rows).collect();
    counts.sort_unstable();
    expected.sort_unstable();
    assert_eq!(counts, expected, "{:?}", manifest.tables);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_verified_backup_opens_with_stock_restic_although_its_key_file_was_lost() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    let id = backup_id(&backup);
    let (_, key) = look_up(&api, id).await;
    let list = ["snapshots", "--no-cache", "--json"];
    for (wrong, content) in [("was missing", None), ("was damaged", Some("{}"))] {
        let objects = env.store().list("tenants/acme/orgs/hq/").await.expect("objects");
        let file = objects.iter().find(|object| object.key.contains("/keys/")).expect("key file");
        match content {
            None => env.store().delete(&file.key).await.expect("delete"),
            Some(text) => env.store().put(&file.key, text.into()).await.expect("damage"),
        }
        let refused = restic(&env, &key, &key.password, &list).await;
        assert_ne!(refused.code, Some(0), "{}", refused.text());

        api.succeed(&api.verify_backup("acme", "hq", id).await).await;
        let listed = restic(&env, &key, &key.password, &list).await.succeeded();
        assert!(listed.text().contains(&key.snapshot_id), "{}", listed.text());
        restic(&env, &key, &key.password, &["check", "--no-cache"]).await.succeeded();
        let found = crate::damage::get(&api, id).await;
        assert_eq!(found.state(), v1::backup::State::Complete, "{found:?}");
        assert!(found.verified_at.is_some() && found.reason.contains(wrong), "{found:?}");
    }
    api.succeed(&api.verify_backup("acme", "hq", id).await).await;
    assert_eq!(crate::damage::get(&api, id).await.reason, "", "nothing was wrong any more");
    assert_tidy(&env).await;
}
