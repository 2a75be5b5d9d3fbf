//! One piece of work on a repository, on a blocking thread.

mod doubt;

use std::{error::Error as _, sync::Arc};

use rustic_core::{
    Credentials, OpenStatus, RepositoryBackends, RepositoryOptions, RusticError, RusticResult,
    repofile::{MasterKey, SnapshotFile, SnapshotId},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Repository, Result, RusticFailure,
    backend::{Backend, Failed},
    error::Damage,
    repository::key_file,
};

/// Pieces of work at once, in this process: each has threads, packs in memory and an index.
const PARALLEL: usize = 4;

static SLOTS: Semaphore = Semaphore::const_new(PARALLEL);

/// What a piece of work needs. Ends early, with an error, once nobody waits for it.
pub(crate) struct Session {
    operation: &'static str,
    prefix: String,
    bucket: String,
    /// Where stock restic's key file is, if the repository was made with our key.
    key_file: String,
    master: MasterKey,
    backend: Arc<Backend>,
    cancel: CancellationToken,
}

/// A repository that is open.
pub(crate) type Opened = rustic_core::Repository<OpenStatus>;

impl Session {
    /// Runs `work` on a blocking thread as soon as there is a slot. Dropping the future cancels it.
    pub(crate) async fn run<T: Send + 'static>(
        repository: &Repository,
        operation: &'static str,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let cancel = CancellationToken::new();
        let _guard = cancel.clone().drop_guard();
        let task = Self::start(repository, operation, cancel, work).await;
        task.await.map_err(|_| Error::Panicked { operation })?
    }

    /// As [`Session::run`], cancelled by `cancel` alone.
    pub(crate) async fn start<T: Send + 'static>(
        repository: &Repository,
        operation: &'static str,
        cancel: CancellationToken,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> tokio::task::JoinHandle<Result<T>> {
        // The semaphore is never closed.
        let slot = SLOTS.acquire().await.ok();
        let prefix = repository.prefix().to_owned();
        let store = repository.store().clone();
        let session = Session {
            operation,
            master: repository.key().master.clone(),
            key_file: key_file::path(repository),
            bucket: store.bucket().to_owned(),
            backend: Arc::new(Backend::new(store, prefix.clone(), cancel.clone())),
            prefix,
            cancel,
        };
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work(&session)
        })
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    pub(crate) fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    pub(crate) fn master(&self) -> &MasterKey {
        &self.master
    }

    /// The repository before it is opened.
    pub(crate) fn closed(&self) -> Result<rustic_core::Repository<()>> {
        let backends = RepositoryBackends::new(self.backend.clone(), None);
        // The cache is a directory in the home of whoever runs us.
        let options = RepositoryOptions::default().no_cache(true);
        self.checked(rustic_core::Repository::new(&options, &backends))
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::Masterkey(self.master.clone())
    }

    pub(crate) fn open(&self) -> Result<Opened> {
        match self.closed()?.open(&self.credentials()) {
            // The config is the first thing that is decrypted.
            Err(error) if undecipherable(&error) => self.open_again(),
            result => self.checked(result),
        }
    }

    pub(crate) fn damaged(&self, damage: Damage) -> Error {
        let (operation, prefix) = (self.operation, self.prefix.clone());
        Error::Damaged { operation, prefix, source: Arc::new(damage) }
    }

    /// Says what really went wrong: `rustic_core` carries on after some errors and reports what
    /// follows from others.
    pub(crate) fn checked<T>(&self, result: RusticResult<T>) -> Result<T> {
        match self.backend.failure() {
            Some(Failed::Storage(source)) => {
                return Err(Error::Storage { operation: self.operation, source });
            }
            Some(Failed::Damaged(source)) => {
                let (operation, prefix) = (self.operation, self.prefix.clone());
                return Err(Error::Damaged { operation, prefix, source });
            }
            None => {}
        }
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled { operation: self.operation });
        }
        result.map_err(|error| self.failed(RusticFailure::from(&*error)))
    }

    /// Reads one snapshot by its whole id.
    pub(crate) fn snapshot(&self, repository: &Opened, snapshot_id: &str) -> Result<SnapshotFile> {
        let none = || Error::NoSnapshot {
            snapshot_id: snapshot_id.to_owned(),
            prefix: self.prefix.clone(),
        };
        let id: SnapshotId = snapshot_id.parse().map_err(|_| none())?;
        let read = repository.get_file::<SnapshotFile>(&id);
        match self.backend.failure() {
            Some(Failed::Storage(error)) if error.is_not_found() => Err(none()),
            _ => self.checked(read),
        }
    }

    pub(crate) fn failed(&self, source: RusticFailure) -> Error {
        Error::Repository { operation: self.operation, prefix: self.prefix.clone(), source }
    }
}

/// Whether the message authentication code was wrong, somewhere down the chain.
fn undecipherable(error: &RusticError) -> bool {
    let inner = error.source().and_then(|source| source.downcast_ref::<Box<RusticError>>());
    error.is_code("C001") || inner.is_some_and(|inner| undecipherable(inner))
}
