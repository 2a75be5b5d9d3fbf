//! The objects of one bucket.

mod bucket;
mod delete;
mod fence;
mod folders;
mod read;
mod upload;
mod write;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::{
    Cause, Error, Result, S3Settings, Subject, Timeouts, client::connect, error::from_sdk,
};
use delete::DeleteSupport;
use fence::Fence;
pub use upload::{PART_BYTES, Upload};
pub use write::ObjectHeaders;

/// A bucket. Clones share one connection pool.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    client: Client,
    bucket: String,
    endpoint: String,
    timeouts: Timeouts,
    fence: Fence,
    /// How this server takes many deletes, as far as it is known.
    delete_support: Arc<DeleteSupport>,
    /// Whether the bucket is known to be there: then nobody makes it again.
    bucket_expected: Arc<AtomicBool>,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its whole key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

impl ObjectStore {
    /// Prepares a client; nothing is sent yet.
    pub fn new(settings: &S3Settings) -> Self {
        Self::with_timeouts(settings, Timeouts::default())
    }

    /// As [`ObjectStore::new`], with other timeouts.
    pub fn with_timeouts(settings: &S3Settings, timeouts: Timeouts) -> Self {
        let aws = || format!("https://s3.{}.amazonaws.com", settings.region);
        Self {
            client: connect(settings, &timeouts),
            bucket: settings.bucket.clone(),
            endpoint: settings.endpoint_url.clone().unwrap_or_else(aws),
            timeouts,
            fence: Fence::default(),
            delete_support: Arc::default(),
            bucket_expected: Arc::default(),
        }
    }

    /// From now on a bucket that is not there is an error of every write, for all
    /// clones: it was there, and one that is made again is empty.
    pub fn expect_bucket(&self) {
        self.bucket_expected.store(true, Ordering::Relaxed);
    }

    fn is_bucket_expected(&self) -> bool {
        self.bucket_expected.load(Ordering::Relaxed)
    }

    /// The same bucket for a writer that may lose the right to write: once
    /// `may_write` says false, every put and delete fails before it is sent.
    pub fn fenced(&self, may_write: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { fence: Fence::new(may_write), ..self.clone() }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Base URL of the server.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn subject(&self, key: &str) -> Subject {
        Subject { bucket: self.bucket.clone(), key: key.to_owned() }
    }

    fn failed(&self, operation: &'static str, key: &str, cause: Cause) -> Error {
        Error::Request { operation, subject: self.subject(key), cause }
    }

    /// Folds an SDK error about `key`, or about the bucket where that is empty.
    fn refused<E>(&self, operation: &'static str, key: &str, error: SdkError<E>) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        from_sdk(operation, self.subject(key), error)
    }

    /// To be asked before anything is written or deleted.
    fn check_fence(&self, operation: &'static str, key: &str) -> Result<()> {
        if self.fence.is_open() {
            return Ok(());
        }
        Err(Error::Fenced { operation, subject: self.subject(key) })
    }
}
