//! A person's session in a database: `psql` on the terminal.

use std::{convert::Infallible, os::unix::process::CommandExt, process::Command};

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    Error, Result, Tools,
    environment::{conninfo, environment},
};

const PROGRAM: &str = "psql";

/// Becomes `psql`: this process is replaced, so that the terminal and Ctrl-C
/// are psql's. Returns only when it cannot be started. `url` is the whole
/// connection URL; `arguments` are psql's own, such as `-c`.
#[expect(clippy::disallowed_methods, reason = "this is where PostgreSQL's tools are started")]
pub fn exec(tools: &Tools, url: &SecretString, arguments: &[String]) -> Result<Infallible> {
    let invalid = |_| Error::Url { source: sqlx::Error::Configuration("not a URL".into()) };
    let url = Url::parse(url.expose_secret()).map_err(invalid)?;
    let database = percent_decode_str(url.path().trim_start_matches('/')).decode_utf8_lossy();
    let mut variables = environment(&url);
    variables.retain(|(name, _)| *name != "LC_ALL");
    let source = Command::new(tools.psql()?)
        .arg(format!("--dbname={}", conninfo(&database)))
        .args(arguments)
        .envs(variables)
        .exec();
    Err(Error::Process { operation: "start", program: PROGRAM, source })
}
