//! What many tests do: put data into an org's database, and tell whether two
//! databases hold the same.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use yuantus_test_support::{Api, TestEnv};

/// The name of an org's database under the tests' template.
pub fn database(tenant: &str, org: &str) -> String {
    format!("yuantus_mt_pg__{tenant}__{org}")
}

/// Runs statements in an org's database as the owner of its tables.
pub async fn run_as_owner(env: &TestEnv, database: &str, sql: &str) {
    let mut connection = env.connect(database).await;
    connection.execute("SET ROLE yuantus_tenant_owner").await.expect("role");
    connection.execute(AssertSqlSafe(sql.to_owned())).await.expect("statements");
    connection.close().await.expect("close");
}

/// The built-in bundle and, last, a migration that takes two seconds for each
/// of `slow`; answers its directory.
pub fn bundle_with_slow(env: &TestEnv, slow: &[&str]) -> String {
    let bundle = env.dir().join("bundle");
    fs::create_dir_all(&bundle).expect("bundle");
    let mut last = 0;
    for file in fs::read_dir("../crates/tenant-schema/bundle").expect("the built-in bundle") {
        let file = file.expect("file");
        fs::copy(file.path(), bundle.join(file.file_name())).expect("copy");
        let name = file.file_name().into_string().expect("name");
        last = last.max(name.split('_').next().and_then(|n| n.parse().ok()).expect("number"));
    }
    for (number, table) in (last + 1..).zip(slow) {
        let sql = format!("SELECT pg_sleep(2); CREATE TABLE {table} (id int);");
        let name = format!("{number:04}_{table}.sql");
        fs::write(bundle.join(name), sql).expect("migration");
    }
    bundle.to_string_lossy().into_owned()
}

/// Waits until a slow migration runs in a database of this name.
pub async fn migrates_slowly(env: &TestEnv, database: &str) {
    let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = $1 AND query LIKE 'SELECT pg_sleep%' AND state = 'active')";
    let mut server = env.identity().await;
    let begun = Instant::now();
    while !sqlx::query_scalar::<_, bool>(sql)
        .bind(database)
        .fetch_one(&mut server)
        .await
        .expect(sql)
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "{database} is not migrated");
    }
}

/// Puts a table of `rows` rows, and some customers, into an org's database.
pub async fn fill(env: &TestEnv, database: &str, rows: u32) {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS parts (id int PRIMARY KEY, name text, weight numeric);
         INSERT INTO parts SELECT n, md5(n::text), n / 7.0 FROM generate_series(1, {rows}) n
         ON CONFLICT DO NOTHING;
         INSERT INTO customers (name, email)
         SELECT 'Customer ' || n, n || '@example.com' FROM generate_series(1, 25) n
         ON CONFLICT DO NOTHING;"
    );
    run_as_owner(env, database, &sql).await;
}

/// Row count and content hash of every table.
pub async fn fingerprint(env: &TestEnv, database: &str) -> BTreeMap<String, (i64, String)> {
    let mut connection = env.connect(database).await;
    let tables = connection
        .fetch_all(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
             WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
        )
        .await
        .expect("tables");
    let mut prints = BTreeMap::new();
    for table in tables {
        let table: String = table.get(0);
        let sql = format!(
            "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text
             FROM {table} t"
        );
        let row = connection.fetch_one(AssertSqlSafe(sql)).await.expect("fingerprint");
        prints.insert(table, (row.get(0), row.get(1)));
    }
    connection.close().await.expect("close");
    prints
}

/// Asserts that the org's own role can use its database.
pub async fn assert_usable(api: &Api, tenant: &str, org: &str) {
    let url = api.connection(tenant, org).await;
    let mut connection = PgConnection::connect(&url).await.expect("the org's connection");
    connection
        .execute("INSERT INTO settings (key, value) VALUES ('probe', '1')")
        .await
        .expect("write");
    connection.execute("DELETE FROM settings WHERE key = 'probe'").await.expect("delete");
    connection.close().await.expect("close");
}
