//! An identity database that goes back to what it was, or is copied, while the
//! rest of the world goes on.

use sqlx::{AssertSqlSafe, Connection, Executor};
use yuantus_postgres::Tools;
use yuantus_test_support::{Ran, TestEnv, run};

const IDENTITY: &str = "yuantus_identity";

/// The identity database as it was at some moment.
pub struct Dump(Vec<u8>);

impl Dump {
    /// Dumps the identity database as it is now.
    pub async fn take(env: &TestEnv) -> Self {
        let tool = Tools::find().pg_dump().expect("pg_dump");
        let url = env.database_url(IDENTITY).to_string();
        let dumped = run(tool, &["-Fc", "-d", &url], [], b"").await.succeeded();
        Self(dumped.stdout)
    }

    /// Makes the identity database what it was, in its place.
    pub async fn put_back(&self, env: &TestEnv) {
        let tool = Tools::find().pg_restore().expect("pg_restore");
        let url = env.database_url(IDENTITY).to_string();
        let arguments = ["--clean", "--if-exists", "--exit-on-error", "--single-transaction"];
        let arguments = [&arguments[..], &["-d", &url]].concat();
        run(tool, &arguments, [], &self.0).await.succeeded();
    }

    /// Makes a database of its own of it.
    pub async fn copy_to(&self, env: &TestEnv, database: &str) {
        let mut server = env.connect("postgres").await;
        let create = format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'");
        server.execute(AssertSqlSafe(create)).await.expect("database");
        server.close().await.expect("close");
        let tool = Tools::find().pg_restore().expect("pg_restore");
        let url = env.database_url(database).to_string();
        run(tool, &["--exit-on-error", "-d", &url], [], &self.0).await.succeeded();
    }
}

/// Runs a verb at the server's console; what it wrote and its exit code.
pub async fn console(env: &TestEnv, arguments: &[&str], more: &[(&str, &str)]) -> Ran {
    let variables = env.variables();
    let mut variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    variables.extend(more);
    env.cli(arguments, &variables, "").await
}

/// What `yuantus doctor` lists: kind, name and finding of each difference.
pub async fn differences(env: &TestEnv, more: &[(&str, &str)]) -> Vec<[String; 3]> {
    let ran = console(env, &["doctor", "-o", "json"], more).await;
    let listed: serde_json::Value = serde_json::from_slice(&ran.stdout).expect(&ran.stderr);
    let listed = listed.as_array().expect("a list").clone();
    assert_eq!(ran.code == Some(0), listed.is_empty(), "it fails where anything differs");
    let text = |item: &serde_json::Value, name: &str| item[name].as_str().expect("text").to_owned();
    listed.iter().map(|item| ["kind", "name", "finding"].map(|name| text(item, name))).collect()
}
