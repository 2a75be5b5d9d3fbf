//! The data directory: `lock`, `secrets.toml`, `postgres/`, `s3/`.
//!
//! Invariant: whoever holds the lock file is alone in the directory; the
//! kernel lets go of the lock when that process dies.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::failure::Failure;

/// A data directory that is ours alone.
pub(crate) struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is new, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::local(format!("use the data directory {}", path.display()), error)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let root = fs::canonicalize(path).map_err(failed)?;
        // As root, PostgreSQL runs as another user, who passes through but
        // sees nothing.
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        fs::set_permissions(&root, fs::Permissions::from_mode(mode)).map_err(failed)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(root.join("lock"))
            .map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(Errno::WOULDBLOCK) => Err(Failure::local(
                format!("use the data directory {}", root.display()),
                "another `yuantus dev` is running there; --data-dir takes another directory",
            )),
            Err(error) => Err(failed(error.into())),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.root.join("secrets.toml")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// The bucket's files; made if missing, for nobody else to see.
    pub(crate) fn s3(&self) -> Result<PathBuf, Failure> {
        let path = self.root.join("s3");
        match DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            Ok(()) => Ok(path),
            Err(error) => Err(Failure::local(format!("make {}", path.display()), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_in_the_same_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/.yuantus");
        let first = DataDir::open(&path).unwrap();
        let refused = DataDir::open(&path).err().unwrap().to_string();
        assert!(refused.contains("another `yuantus dev` is running there"), "{refused}");
        drop(first);
        assert!(DataDir::open(&path).is_ok());
    }
}
