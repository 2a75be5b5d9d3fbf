//! Where PostgreSQL's programs are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{Error, Result};

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

    /// `pg_dump`, which must not be older than the server.
    pub fn pg_dump(&self) -> Result<PathBuf> {
        self.locate("pg_dump")
    }

    /// `pg_restore`.
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

    fn locate(&self, program: &'static str) -> Result<PathBuf> {
        self.directories
            .iter()
            .map(|directory| directory.join(program))
            .find(|file| is_program(file))
            .ok_or(Error::ToolMissing { program })
    }
}

fn is_program(file: &Path) -> bool {
    fs::canonicalize(file).is_ok_and(|real| {
        real.is_file() && real.file_name().is_some_and(|name| name != "pg_wrapper")
    })
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
