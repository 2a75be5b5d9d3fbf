//! How much room the server's disk has left.
//!
//! A server that runs out of it stops, and every database on it with it: the
//! identity database too, where that is on the same disk. PostgreSQL does not
//! say how much is free. It is asked of the file system where the server's data
//! directory is on this machine, which `postmaster.pid` proves, or counted from
//! what the databases take of a capacity that somebody configured.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sqlx::Row;

use crate::{Result, Server, server::first, session::Doing};

/// How far the start in `postmaster.pid` and the one that the server tells may
/// be apart: the file is written first.
const START_SECONDS: u64 = 10;

/// What is known of the disk beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceSettings {
    /// A directory of this machine on the disk of the server's data.
    pub directory: Option<PathBuf>,
    /// How many bytes databases may take.
    pub capacity: Option<u64>,
}

impl Server {
    /// How many bytes are free for databases, the least of what is known;
    /// nothing where nothing is.
    pub async fn free_space(&self, settings: &SpaceSettings) -> Result<Option<u64>> {
        let directory = match &settings.directory {
            Some(directory) => Some(directory.clone()),
            None => self.own_directory().await?,
        };
        let on_disk = directory.as_deref().and_then(free_on_disk);
        let of_capacity = match settings.capacity {
            Some(capacity) => Some(capacity.saturating_sub(self.used_space().await?)),
            None => None,
        };
        Ok([on_disk, of_capacity].into_iter().flatten().min())
    }

    /// What the databases of the default tablespace take.
    async fn used_space(&self) -> Result<u64> {
        let doing = Doing("measure the databases of", self.host());
        let sql = "SELECT pg_tablespace_size('pg_default')".to_owned();
        let used: i64 = first(&self.read(doing, sql).await?, doing)?;
        Ok(used.unsigned_abs())
    }

    /// The server's data directory, where it is one of this machine's.
    async fn own_directory(&self) -> Result<Option<PathBuf>> {
        let doing = Doing("read the data directory of", self.host());
        // A row that our role may not see is not there.
        let sql = "SELECT setting, extract(epoch FROM pg_postmaster_start_time())::bigint, \
                       current_setting('port') \
                   FROM pg_settings WHERE name = 'data_directory' AND setting <> ''";
        let rows = self.read(doing, sql.to_owned()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let (directory, started, port): (String, i64, String) =
            read().map_err(|source| doing.failed(source))?;
        let directory = PathBuf::from(directory);
        Ok(is_its_own(&directory, started, &port).then_some(directory))
    }
}

/// Whether the server that said so runs in this directory of this machine: a
/// container's path may be another one's here.
fn is_its_own(directory: &Path, started: i64, port: &str) -> bool {
    let text = fs::read_to_string(directory.join("postmaster.pid")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let [_, path, start, its_port, ..] = lines[..] else { return false };
    let begun = start.parse().is_ok_and(|start: i64| start.abs_diff(started) <= START_SECONDS);
    Path::new(path) == directory && its_port == port && begun
}

/// What others than root may still write there.
fn free_on_disk(directory: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(directory)
        .inspect_err(|error| {
            tracing::warn!(%error, directory = %directory.display(), "free space is not known");
        })
        .ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_the_servers_own_where_its_pid_file_says_the_same() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path();
        assert!(!is_its_own(path, 1000, "5432"));
        let text = format!("17\n{}\n1000\n5432\n/tmp\n", path.display());
        fs::write(path.join("postmaster.pid"), text).expect("file");
        assert!(is_its_own(path, 1003, "5432"));
        assert!(!is_its_own(path, 1011, "5432"));
        assert!(!is_its_own(path, 1000, "5433"));
        assert!(free_on_disk(path).is_some_and(|free| free > 0));
    }
}
