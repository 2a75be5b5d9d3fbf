//! `initdb`, and the settings a private server starts with.
//!
//! Invariant: `pgdata` is there whole or not at all: it is made in a directory
//! of this attempt's own and renamed. An `initdb` whose process was killed goes
//! on for seconds in the directory of its attempt, which nobody looks at again.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    PrivateServerSettings, SUPERUSER,
    directory::{Directory, doing},
};
use crate::{Error, Result, Tools};

const PROGRAM: &str = "initdb";

/// What the directories of attempts are named with, before a random part.
const ATTEMPT: &str = "initdb-";
/// The directory of attempts of former versions.
const FORMER_ATTEMPT: &str = "pgdata.new";

/// Everything but what depends on the directory.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "400"),
    ("max_locks_per_transaction", "128"),
    ("password_encryption", "scram-sha-256"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("jit", "off"),
];

/// What tests do without.
const NOT_DURABLE: &[(&str, &str)] =
    &[("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];

/// Makes the cluster if it is not there.
pub(super) async fn ensure(
    tools: &Tools,
    directory: &Directory,
    password: &SecretString,
    durable: bool,
) -> Result<()> {
    let data = directory.data();
    remove_attempts(directory);
    if data.join("PG_VERSION").exists() {
        return Ok(());
    }
    let attempt = tempfile::Builder::new()
        .prefix(ATTEMPT)
        .tempdir_in(directory.root())
        .map_err(doing("make a directory in", directory.root()))?;
    directory.give(attempt.path())?;
    let begun = directory.make_within(attempt.path(), "pgdata")?;
    let password_file = write_password(directory, attempt.path(), password)?;
    let mut arguments = vec![
        format!("--pgdata={}", begun.display()),
        format!("--pwfile={}", password_file.path().display()),
        format!("--username={SUPERUSER}"),
        "--auth=scram-sha-256".to_owned(),
        "--encoding=UTF8".to_owned(),
        "--locale=C".to_owned(),
        "--no-instructions".to_owned(),
    ];
    if cfg!(target_os = "linux") {
        arguments.push("--lc-ctype=C.UTF-8".to_owned());
    }
    arguments.push(if durable { "--data-checksums" } else { "--no-sync" }.to_owned());
    initdb(tools, directory, &arguments).await?;
    fs::rename(&begun, &data).map_err(doing("rename", &begun))?;
    let synced = File::open(directory.root()).and_then(|root| root.sync_all());
    synced.map_err(doing("write", directory.root()))
}

/// Removes what attempts left whose process was killed. Where an `initdb` is
/// still at work there, the rest of it is removed at the next start.
fn remove_attempts(directory: &Directory) {
    let found =
        fs::read_dir(directory.root()).into_iter().flatten().filter_map(std::result::Result::ok);
    for entry in found {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if (name.starts_with(ATTEMPT) || name == FORMER_ATTEMPT)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!(%error, %name, "what a killed initdb left is still in use");
        }
    }
}

/// The arguments of `postgres`.
pub(super) fn arguments(
    directory: &Directory,
    settings: &PrivateServerSettings,
    port: u16,
) -> Vec<String> {
    let mut arguments = vec!["-D".to_owned(), directory.data().display().to_string()];
    let mut set = |name: &str, value: &str| {
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    };
    for (name, value) in SETTINGS {
        set(name, value);
    }
    if !settings.durable {
        for (name, value) in NOT_DURABLE {
            set(name, value);
        }
    }
    let socket = directory.socket().map(|path| path.display().to_string());
    set("unix_socket_directories", &socket.unwrap_or_default());
    set("port", &port.to_string());
    for (name, value) in &settings.extra_settings {
        set(name, value);
    }
    arguments
}

fn write_password(
    directory: &Directory,
    attempt: &Path,
    password: &SecretString,
) -> Result<tempfile::NamedTempFile> {
    let failed = doing("write a password file in", attempt);
    let mut file = tempfile::NamedTempFile::new_in(attempt).map_err(&failed)?;
    file.write_all(password.expose_secret().as_bytes()).map_err(&failed)?;
    directory.give(file.path())?;
    Ok(file)
}

#[expect(clippy::disallowed_methods, reason = "this is where PostgreSQL's tools are started")]
async fn initdb(tools: &Tools, directory: &Directory, arguments: &[String]) -> Result<()> {
    let mut command = tokio::process::Command::new(tools.initdb()?);
    command.args(arguments).env("LC_ALL", "C").kill_on_drop(true);
    // A directory that PostgreSQL's user may be in.
    command.current_dir("/");
    if let Some(account) = &directory.account {
        command.uid(account.uid).gid(account.gid);
    }
    let failed = |source| Error::Process { operation: "start", program: PROGRAM, source };
    let output = command.output().await.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Child {
        program: PROGRAM,
        database: SUPERUSER.to_owned(),
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
