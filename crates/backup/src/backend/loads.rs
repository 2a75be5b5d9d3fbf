//! Packs on their way from S3.
//!
//! A dump is thousands of small blobs in a few packs. Packs are fetched whole, once, and the next
//! ones while the current one is being unpacked. Invariant: never more than [`KEPT`] packs in
//! memory.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture, future::Shared};
use rustic_core::Id;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use yuantus_storage::{Cause, ObjectStore, Subject};

use super::{Failed, read_named};

/// Packs fetched ahead of the one being read.
const AHEAD: usize = 2;

/// Packs kept: the ones ahead, the current one, and the one before, which unpacking threads may
/// still be busy with.
const KEPT: usize = AHEAD + 2;

type Load = Shared<BoxFuture<'static, Result<Bytes, Failed>>>;

pub(super) struct Loads {
    store: ObjectStore,
    dir: String,
    handle: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The order in which packs will be wanted.
    plan: Vec<Id>,
    /// Where in the plan the reader is.
    at: usize,
    /// The least recently used one first.
    loads: VecDeque<(Id, Load)>,
}

impl Loads {
    pub(super) fn new(store: ObjectStore, dir: String, handle: Handle) -> Self {
        Self { store, dir, handle, state: Mutex::default() }
    }

    pub(super) fn plan(&self, packs: Vec<Id>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.plan = packs;
        state.at = 0;
    }

    /// Fetches anew what is asked for from now on.
    pub(super) fn forget(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// The whole pack, shared with whoever else wants it.
    pub(super) async fn pack(&self, id: Id) -> Result<Bytes, Failed> {
        self.load(id).await
    }

    fn load(&self, id: Id) -> Load {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let load = self.touch(&mut state, id);
        let position = state.plan.iter().skip(state.at).position(|planned| *planned == id);
        if let Some(steps) = position {
            state.at += steps;
            let next = state.plan.iter().skip(state.at + 1).take(AHEAD);
            for ahead in next.copied().collect::<Vec<_>>() {
                drop(self.touch(&mut state, ahead));
            }
        }
        while state.loads.len() > KEPT {
            state.loads.pop_front();
        }
        load
    }

    /// Finds a load or starts it, and makes it the most recently used one.
    fn touch(&self, state: &mut State, id: Id) -> Load {
        let found = state.loads.iter().position(|(loaded, _)| *loaded == id);
        let known = found.and_then(|index| state.loads.remove(index));
        let load = known.map_or_else(|| self.start(id), |(_, load)| load);
        state.loads.push_back((id, load.clone()));
        load
    }

    fn start(&self, id: Id) -> Load {
        let hex = id.to_hex();
        let key = format!("{}{}/{}", self.dir, &hex.as_str()[..2], hex.as_str());
        let store = self.store.clone();
        let lost = yuantus_storage::Error::Request {
            operation: "GetObject",
            subject: Subject { bucket: store.bucket().to_owned(), key: key.clone() },
            cause: Cause::Connection("the runtime is shutting down".to_owned()),
        };
        let fetch = async move { read_named(&store, &key, id).await };
        let task = AbortOnDropHandle::new(self.handle.spawn(fetch));
        task.map(|result| result.unwrap_or_else(|_| Err(lost.into()))).boxed().shared()
    }
}
