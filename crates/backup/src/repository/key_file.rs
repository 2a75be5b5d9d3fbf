//! The file that stock restic finds the key in.
//!
//! We open repositories with the master key itself, so nothing of ours notices when the key file is
//! gone; but then the repository is not one that anybody can open without us.

use bytes::Bytes;

use super::Repository;
use crate::{
    Error, Result,
    backend::{Failed, read_named},
    pack::hash,
};

const OPERATION: &str = "looking at a repository's key file";

/// Where the key file is.
pub(crate) fn path(repository: &Repository) -> String {
    let id = hash(repository.key.key_file.as_bytes());
    format!("{}keys/{}", repository.prefix, id.to_hex().as_str())
}

impl Repository {
    /// Writes the key file, which is the same bytes each time.
    pub(super) async fn put_key_file(&self, operation: &'static str) -> Result<()> {
        let content = Bytes::from(self.key.key_file.clone());
        self.store.put(&path(self), content).await.map_err(Error::storage(operation))
    }

    /// Sees that stock restic can open the repository with [`Repository::password`], and writes the
    /// key file again from what we hold where it cannot. Answers what was wrong with it, if anything.
    ///
    /// To be called once the repository was read: that proves that the key is this one's.
    pub async fn mend_key_file(&self) -> Result<Option<&'static str>> {
        let wrong = match self.read_key_file().await {
            Ok(()) => return Ok(None),
            Err(Failed::Damaged(_)) => "was damaged",
            Err(Failed::Storage(error)) if error.is_not_found() => "was missing",
            Err(Failed::Storage(source)) => {
                return Err(Error::Storage { operation: OPERATION, source });
            }
        };
        self.put_key_file("mending a repository's key file").await?;
        match self.read_key_file().await {
            Ok(()) => Ok(Some(wrong)),
            Err(Failed::Storage(source)) => Err(Error::Storage { operation: OPERATION, source }),
            Err(Failed::Damaged(source)) => {
                Err(Error::Damaged { operation: OPERATION, prefix: self.prefix.clone(), source })
            }
        }
    }

    async fn read_key_file(&self) -> Result<(), Failed> {
        let id = hash(self.key.key_file.as_bytes());
        read_named(&self.store, &path(self), id).await.map(drop)
    }
}
