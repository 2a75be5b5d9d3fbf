//! What must hold at the end of every test, whatever happened in it.

use std::collections::BTreeSet;

use sqlx::{Connection, Row};
use yuantus_test_support::TestEnv;

/// Asserts that nothing is unfinished and nothing is left over: no operation
/// in the queue, no database or role without an org, a spare or a tombstone,
/// no object without a complete backup or a file but the control plane's own, no
/// file without its object.
pub async fn assert_tidy(env: &TestEnv) {
    let mut identity = env.identity().await;
    let unfinished: Vec<String> = sqlx::query_scalar(
        "SELECT type || ' ' || id FROM operations WHERE state IN ('PENDING', 'RUNNING')",
    )
    .fetch_all(&mut identity)
    .await
    .expect("operations");
    assert!(unfinished.is_empty(), "unfinished: {unfinished:?}");

    let recorded: BTreeSet<String> = sqlx::query_scalar(
        "SELECT name FROM databases WHERE state = 'READY' UNION SELECT name FROM tombstones",
    )
    .fetch_all(&mut identity)
    .await
    .expect("databases")
    .into_iter()
    .collect();
    let plane: String = sqlx::query_scalar("SELECT replace(plane::text, '-', '') FROM deployment")
        .fetch_one(&mut identity)
        .await
        .expect("deployment");
    // Templates and pooled spares are found again by their names, marked yet or not.
    let spare = format!("yuantus_mt_spare__{}__", &plane[..16]);
    let pools = |name: &str| name.starts_with("yuantus_mt_tpl__") || name.starts_with(&spare);
    let there: BTreeSet<String> = sqlx::query(
        "SELECT d.datname, c.description FROM pg_database d
         LEFT JOIN pg_shdescription c ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass
         WHERE d.datname LIKE 'yuantus\\_mt\\_%'",
    )
    .fetch_all(&mut identity)
    .await
    .expect("catalog")
    .into_iter()
    .filter(|row| {
        let marker: Option<String> = row.get(1);
        let marker: serde_json::Value =
            serde_json::from_str(&marker.unwrap_or_default()).unwrap_or_default();
        let pooled = ["template", "spare"].contains(&marker["kind"].as_str().unwrap_or_default());
        !(pooled && marker["operation"].is_null() || pools(row.get(0)))
    })
    .map(|row| row.get(0))
    .collect();
    assert_eq!(there, recorded, "databases on the server and on record");

    let roles: BTreeSet<String> = sqlx::query_scalar(
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'yuantus\\_mt\\_%'
         AND NOT (starts_with(rolname, $1) AND NOT rolcanlogin
            AND EXISTS (SELECT FROM pg_database WHERE starts_with(rolname::text, datname || '__')))",
    )
    .bind(&spare)
    .fetch_all(&mut identity)
    .await
    .expect("roles")
    .into_iter()
    .collect();
    let expected: BTreeSet<String> =
        sqlx::query_scalar("SELECT role FROM databases WHERE state = 'READY'")
            .fetch_all(&mut identity)
            .await
            .expect("databases")
            .into_iter()
            .collect();
    assert_eq!(
        roles, expected,
        "roles on the server, but those that wait with spares, and on record"
    );

    let prefixes: Vec<String> =
        sqlx::query_scalar("SELECT prefix FROM backups WHERE state = 'COMPLETE'")
            .fetch_all(&mut identity)
            .await
            .expect("backups");
    let objects = env.store().list("").await.expect("objects");
    let strays: BTreeSet<String> = objects
        .iter()
        .filter(|object| !object.key.starts_with("control-plane/"))
        .filter(|object| !prefixes.iter().any(|prefix| object.key.starts_with(prefix)))
        .map(|object| object.key.clone())
        .collect();
    let files = files(env).await;
    assert_eq!(strays, files, "objects of no complete backup, and those of files");
    identity.close().await.expect("close");
}

/// The objects that files of the orgs' databases name.
async fn files(env: &TestEnv) -> BTreeSet<String> {
    let sql = "SELECT name FROM databases WHERE state = 'READY'";
    let databases: Vec<String> =
        sqlx::query_scalar(sql).fetch_all(&mut env.identity().await).await.expect("databases");
    let mut keys = BTreeSet::new();
    for database in databases {
        let mut connection = env.connect(&database).await;
        let sql = "SELECT EXISTS (SELECT FROM pg_attribute
            WHERE attrelid = to_regclass('public.files') AND attname = 'object_key')";
        let has: bool = sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("table");
        if has {
            let sql = "SELECT object_key FROM public.files";
            let found: Vec<String> =
                sqlx::query_scalar(sql).fetch_all(&mut connection).await.expect("files");
            keys.extend(found);
        }
        connection.close().await.expect("close");
    }
    keys
}
