//! Where PostgreSQL's programs are, and of which version.
//!
//! Invariant: a server is dumped and restored by programs of its own major
//! version. A newer `pg_dump` writes archives that the server's `pg_restore`
//! cannot read, and a newer `pg_restore` sets what the server does not know.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::{Error, Result};

/// How long a program may take to say its version.
const VERSION: Duration = Duration::from_secs(10);

/// Directories that hold PostgreSQL's programs, best first.
#[derive(Clone, Debug)]
pub struct Tools {
    directories: Vec<PathBuf>,
}

impl Tools {
    /// Looks in `PATH` and then in the installed versions, newest first. The
    /// Debian wrapper of `PATH`, which would choose a version by cluster, is
    /// passed over.
    #[expect(clippy::disallowed_methods, reason = "where programs are, not our configuration")]
    pub fn find() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<PathBuf> = env::split_paths(&path).collect();
        directories.extend(installed("/usr/lib/postgresql", "", "bin"));
        directories.extend(installed("/usr", "pgsql-", "bin"));
        Self { directories }
    }

    /// Looks in these directories only, in this order.
    pub fn in_directories(directories: Vec<PathBuf>) -> Self {
        Self { directories }
    }

    /// `pg_dump` of any version.
    pub fn pg_dump(&self) -> Result<PathBuf> {
        self.locate("pg_dump")
    }

    /// `pg_restore` of any version.
    pub fn pg_restore(&self) -> Result<PathBuf> {
        self.locate("pg_restore")
    }

    /// `psql`.
    pub fn psql(&self) -> Result<PathBuf> {
        self.locate("psql")
    }

    /// `initdb`, which comes with the server only.
    pub fn initdb(&self) -> Result<PathBuf> {
        self.locate("initdb")
    }

    /// `postgres`, the server.
    pub fn postgres(&self) -> Result<PathBuf> {
        self.locate("postgres")
    }

    /// A program of this major version, wherever one is:
    /// [`Error::ToolVersion`] names what was found instead.
    pub(crate) async fn of_major(&self, program: &'static str, major: u32) -> Result<PathBuf> {
        let mut others = Vec::new();
        for file in self.all(program) {
            let Some(version) = version_of(&file).await else { continue };
            if major_of(&version) == Some(major) {
                return Ok(file);
            }
            let other = format!("{version} in {}", file.display());
            if !others.contains(&other) {
                others.push(other);
            }
        }
        if others.is_empty() {
            return Err(Error::ToolMissing { program });
        }
        Err(Error::ToolVersion { program, major, found: others.join(", ") })
    }

    fn locate(&self, program: &'static str) -> Result<PathBuf> {
        self.all(program).next().ok_or(Error::ToolMissing { program })
    }

    fn all(&self, program: &'static str) -> impl Iterator<Item = PathBuf> {
        self.directories
            .iter()
            .map(move |directory| directory.join(program))
            .filter(|file| is_program(file))
    }
}

fn is_program(file: &Path) -> bool {
    fs::canonicalize(file).is_ok_and(|real| {
        real.is_file() && real.file_name().is_some_and(|name| name != "pg_wrapper")
    })
}

/// What `--version` says, such as `18.4`; `None` where the program cannot say.
#[expect(clippy::disallowed_methods, reason = "this is where PostgreSQL's tools are started")]
async fn version_of(file: &Path) -> Option<String> {
    let mut command = Command::new(file);
    command.arg("--version").env_clear().env("LC_ALL", "C").stdin(Stdio::null());
    let output = timeout(VERSION, command.kill_on_drop(true).output()).await.ok()?.ok()?;
    // `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    Some(version.split_whitespace().next()?.to_owned())
}

/// The major version of `15.18` or `19beta1`.
pub(crate) fn major_of(version: &str) -> Option<u32> {
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

/// `<root>/<prefix><version>/<leaf>`, highest version first.
fn installed(root: &str, prefix: &str, leaf: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join(leaf)))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_versions_are_read_of_releases_and_of_betas() {
        assert_eq!(major_of("15.18"), Some(15));
        assert_eq!(major_of("19beta1"), Some(19));
        assert_eq!(major_of("devel"), None);
    }
}
