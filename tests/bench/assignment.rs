//! The least that gives a ready database to an org: one transaction that
//! renames it, makes its role and grants.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, PgConnection};
use yuantus_postgres::scram;

use crate::Result;

/// How many there are.
const DATABASES: usize = 20;

/// Databases to rename, again and again.
pub(crate) struct Assignments {
    names: Vec<String>,
    verifier: String,
    done: usize,
}

impl Assignments {
    /// Makes a few databases like the product's spare ones.
    pub(crate) async fn prepare(admin: &mut PgConnection) -> Result<Self> {
        let template: String =
            sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE NOT datallowconn AND datname LIKE 'yuantus%'")
                .fetch_one(&mut *admin)
                .await?;
        let names: Vec<String> = (0..DATABASES).map(|n| format!("bare_{n}")).collect();
        for name in &names {
            let sql = format!(
                "CREATE DATABASE {name} OWNER yuantus_tenant_owner TEMPLATE {template}
                 STRATEGY WAL_LOG"
            );
            run(admin, sql).await?;
            run(admin, format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")).await?;
            run(admin, marker(name)).await?;
        }
        let verifier = scram::verifier(&SecretString::from("a password of 32 characters or so"));
        Ok(Self { names, verifier, done: 0 })
    }

    /// Assigns the next database; answers how long that took.
    pub(crate) async fn assign(&mut self, admin: &mut PgConnection) -> Result<Duration> {
        if self.done == self.names.len() {
            self.reset(admin).await?;
        }
        let name = &self.names[self.done];
        self.done += 1;
        let sql = transaction(name, &self.verifier);
        let begun = Instant::now();
        run(admin, sql).await?;
        Ok(begun.elapsed())
    }

    /// Takes all databases back.
    async fn reset(&mut self, admin: &mut PgConnection) -> Result<()> {
        for name in self.names.iter().take(self.done) {
            let sql = format!(
                "REVOKE ALL ON DATABASE {name}_org FROM {name}_role; DROP ROLE {name}_role;
                 ALTER DATABASE {name}_org RENAME TO {name}"
            );
            run(admin, sql).await?;
        }
        self.done = 0;
        Ok(())
    }
}

/// What makes the database `name` the org's.
fn transaction(name: &str, verifier: &str) -> String {
    let (org, role) = (format!("{name}_org"), format!("{name}_role"));
    format!(
        "BEGIN; ALTER DATABASE {name} RENAME TO {org};
         CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT
           CONNECTION LIMIT 20 PASSWORD '{verifier}' IN ROLE yuantus_tenant_app;
         GRANT CONNECT, TEMPORARY ON DATABASE {org} TO {role};
         ALTER ROLE {role} IN DATABASE {org} SET statement_timeout = '60s';
         {}; COMMIT",
        marker(&org)
    )
}

fn marker(name: &str) -> String {
    let fingerprint = "f".repeat(64);
    format!(
        "COMMENT ON DATABASE {name} IS '{{\"kind\":\"tenant\",\"fingerprint\":\"{fingerprint}\"}}'"
    )
}

pub(crate) async fn run(admin: &mut PgConnection, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(admin).await?;
    Ok(())
}
