//! PostgreSQL's own programs, as one would call them in a script.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use yuantus_postgres::Tools;
use yuantus_test_support::TestEnv;

use crate::Result;

/// `pg_dump -Fc -Z1` to a file; answers how long it took.
pub(crate) async fn dump(env: &TestEnv, database: &str, file: &Path) -> Result<Duration> {
    let program = Tools::find().pg_dump()?;
    let file = file.display().to_string();
    run(env, &program, &["-Fc", "-Z1", "-f", &file, "-d", database]).await
}

/// `pg_restore` of a file into a database; answers how long it took.
pub(crate) async fn restore(env: &TestEnv, database: &str, file: &Path) -> Result<Duration> {
    let program = Tools::find().pg_restore()?;
    let file = file.display().to_string();
    run(env, &program, &["--exit-on-error", "-d", database, &file]).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "the baseline is these programs, not our use of them"
)]
async fn run(env: &TestEnv, program: &Path, arguments: &[&str]) -> Result<Duration> {
    let url = env.postgres.admin_url();
    let begun = Instant::now();
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", env.postgres.port().to_string())
        .env("PGUSER", url.username())
        .env("PGPASSWORD", url.password().unwrap_or_default())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await?;
    let took = begun.elapsed();
    if status.success() {
        return Ok(took);
    }
    Err(format!("{}: {status}", program.display()).into())
}
