//! Packs on their way to S3, a few at a time, behind the thread that made them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinSet};
use yuantus_storage::ObjectStore;

use super::{Failed, Failure};

/// Uploads at once. Each holds a whole pack in memory.
const PARALLEL: u32 = 3;

/// Dropping it abandons what is under way.
pub(super) struct Uploads {
    store: ObjectStore,
    handle: Handle,
    slots: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
    failure: Arc<Failure>,
}

impl Uploads {
    pub(super) fn new(store: ObjectStore, handle: Handle, failure: Arc<Failure>) -> Self {
        let slots = Arc::new(Semaphore::new(PARALLEL as usize));
        Self { store, handle, slots, tasks: Mutex::default(), failure }
    }

    /// Starts an upload as soon as there is a free slot, unless an earlier one failed.
    pub(super) async fn start(&self, key: String, content: Bytes) -> Result<(), Failed> {
        // The semaphore is never closed.
        let slot = self.slots.clone().acquire_owned().await.ok();
        self.failure.none_yet()?;
        let (store, failure) = (self.store.clone(), self.failure.clone());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        let upload = async move {
            if let Err(error) = store.put(&key, content).await {
                failure.record(error.into());
            }
            drop(slot);
        };
        tasks.spawn_on(upload, &self.handle);
        Ok(())
    }

    /// Waits until nothing is under way; an error if anything failed.
    pub(super) async fn finish(&self) -> Result<(), Failed> {
        drop(self.slots.acquire_many(PARALLEL).await);
        self.failure.none_yet()
    }
}
