//! One generation of an org's backups.

mod backup;
mod complete;
mod init;
pub(crate) mod key_file;
mod manifest;

use yuantus_storage::ObjectStore;

use crate::{Error, RepositoryKey, Result};

pub use backup::{SnapshotMeta, StoredDump};

/// A repository in restic's format at an S3 prefix. Cheap to make and to clone; nothing is read
/// or written before it is asked to do something.
#[derive(Clone, Debug)]
pub struct Repository {
    store: ObjectStore,
    prefix: String,
    key: RepositoryKey,
}

impl Repository {
    /// The repository at `prefix`, such as `tenants/acme/orgs/hq/generations/<uuid>/`.
    pub fn at(store: &ObjectStore, prefix: &str, key: &RepositoryKey) -> Self {
        let prefix = format!("{}/", prefix.trim_matches('/'));
        Self { store: store.clone(), prefix, key: key.clone() }
    }

    /// The prefix, with a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What `restic` calls the repository: `s3:<endpoint>/<bucket>/<prefix>`.
    pub fn restic_location(&self) -> String {
        let endpoint = self.store.endpoint().trim_end_matches('/');
        format!("s3:{endpoint}/{}/{}", self.store.bucket(), self.prefix.trim_end_matches('/'))
    }

    /// The password `restic` asks for.
    pub fn password(&self) -> &secrecy::SecretString {
        self.key.password()
    }

    /// Removes a snapshot; one that is not there is fine. Its content stays until
    /// [`Repository::destroy`].
    pub async fn delete_snapshot(&self, snapshot_id: &str) -> Result<()> {
        let key = format!("{}snapshots/{snapshot_id}", self.prefix);
        self.store.delete(&key).await.map_err(Error::storage("deleting a snapshot"))
    }

    /// Deletes the repository, all of it; returns how many objects there were. One that is not
    /// there is fine, so it can be run again after it failed.
    pub async fn destroy(&self) -> Result<u64> {
        let failed = Error::storage("destroying a repository");
        // Without its config it cannot be mistaken for a repository while the rest goes.
        self.store.delete(&format!("{}config", self.prefix)).await.map_err(&failed)?;
        self.store.delete_prefix(&self.prefix).await.map_err(failed)
    }

    pub(crate) fn store(&self) -> &ObjectStore {
        &self.store
    }

    pub(crate) fn key(&self) -> &RepositoryKey {
        &self.key
    }
}
