//! A repository's files in S3, as `rustic_core` wants them.
//!
//! It calls from threads of its own, so each request is driven on the runtime's handle. Four
//! things it does not know are added: packs are written behind (and in parallel), packs are read
//! whole and ahead, **what is read is compared with its name** (see [`proof`]), and **snapshots are withheld**: `rustic_core` writes one as soon as its reader
//! ends, before anybody knows whether the dump is whole.

mod failure;
mod loads;
mod proof;
mod uploads;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use yuantus_storage::ObjectStore;

pub(crate) use failure::Failed;
use failure::{Failure, Stop};
use loads::Loads;
pub(crate) use proof::{read_named, unsteady};
use uploads::Uploads;

pub(crate) struct Backend {
    store: ObjectStore,
    prefix: String,
    handle: Handle,
    cancel: CancellationToken,
    uploads: Uploads,
    loads: Loads,
    failure: Arc<Failure>,
}

impl Backend {
    pub(crate) fn new(store: ObjectStore, prefix: String, cancel: CancellationToken) -> Self {
        let handle = Handle::current();
        let failure = Arc::<Failure>::default();
        Self {
            uploads: Uploads::new(store.clone(), handle.clone(), failure.clone()),
            loads: Loads::new(store.clone(), format!("{prefix}data/"), handle.clone()),
            failure,
            store,
            prefix,
            handle,
            cancel,
        }
    }

    /// The first failure there was.
    pub(crate) fn failure(&self) -> Option<Failed> {
        self.failure.first()
    }

    /// Forgets what was read and what failed, to look again.
    pub(crate) fn start_over(&self) {
        self.failure.forget();
        self.loads.forget();
    }

    /// Asks S3 something from a thread that may block.
    pub(crate) fn ask<T, F>(&self, question: impl FnOnce(ObjectStore) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        self.wait(question(self.store.clone())).ok()
    }

    /// Tells which packs will be read, in this order.
    pub(crate) fn plan(&self, packs: Vec<Id>) {
        self.loads.plan(packs);
    }

    fn key(&self, tpe: FileType, id: &Id) -> String {
        let hex = id.to_hex();
        let hex = hex.as_str();
        match tpe {
            FileType::Config => format!("{}config", self.prefix),
            FileType::Pack => format!("{}data/{}/{hex}", self.prefix, &hex[..2]),
            _ => format!("{}{}/{hex}", self.prefix, tpe.dirname()),
        }
    }

    /// Drives one request from a thread of `rustic_core`.
    fn wait<T>(&self, request: impl Future<Output = Result<T, Failed>>) -> Result<T, Stop> {
        self.failure.none_yet().map_err(Stop::Failed)?;
        let answer = self.handle.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(Stop::Cancelled),
                answer = request => answer.map_err(Stop::Failed),
            }
        });
        if let Err(Stop::Failed(error)) = &answer {
            self.failure.record(error.clone());
        }
        answer
    }
}

impl ReadBackend for Backend {
    fn location(&self) -> String {
        format!("s3:{}/{}/{}", self.store.endpoint(), self.store.bucket(), self.prefix)
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let small = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        if tpe == FileType::Config {
            let key = self.key(tpe, &Id::default());
            let size = self.wait(async { Ok(self.store.head(&key).await?) })?;
            return Ok(size.map(|size| (Id::default(), small(size))).into_iter().collect());
        }
        let dir = format!("{}{}/", self.prefix, tpe.dirname());
        let objects = self.wait(async { Ok(self.store.list(&dir).await?) })?;
        let id = |key: &str| Id::parse_some(key.rsplit('/').next().unwrap_or(key), tpe);
        Ok(objects.iter().filter_map(|o| Some((id(&o.key)?, small(o.size)))).collect())
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        let key = self.key(tpe, id);
        Ok(self.wait(async {
            match tpe {
                // The one file whose name says nothing; it is authenticated when it is opened.
                FileType::Config => Ok(self.store.get(&key).await?),
                _ => read_named(&self.store, &key, *id).await,
            }
        })?)
    }

    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let content = match tpe {
            FileType::Pack => self.wait(self.loads.pack(*id))?,
            _ => self.read_full(tpe, id)?,
        };
        let (start, length) = (offset as usize, length as usize);
        match start.checked_add(length).filter(|end| *end <= content.len()) {
            Some(end) => Ok(content.slice(start..end)),
            None => Err(RusticError::new(
                ErrorKind::Backend,
                "The file `{id}` ends before the part that is wanted of it.",
            )
            .attach_context("id", id.to_hex().as_str())),
        }
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        self.key(tpe, id)
    }
}

impl WriteBackend for Backend {
    fn write_bytes(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        let key = self.key(tpe, id);
        match tpe {
            FileType::Snapshot => Ok(self.wait(self.uploads.finish())?),
            FileType::Pack => Ok(self.wait(self.uploads.start(key, join(&content)))?),
            // An index names packs and must not be there before them.
            FileType::Config | FileType::Index | FileType::Key => {
                self.wait(self.uploads.finish())?;
                Ok(self.wait(async { Ok(self.store.put(&key, join(&content)).await?) })?)
            }
        }
    }

    fn remove(&self, tpe: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let key = self.key(tpe, id);
        Ok(self.wait(async { Ok(self.store.delete(&key).await?) })?)
    }
}

fn join(parts: &BytesList) -> Bytes {
    let mut whole = BytesMut::with_capacity(parts.size());
    for part in parts.slice() {
        whole.extend_from_slice(part);
    }
    whole.freeze()
}
