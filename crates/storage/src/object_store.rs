//! The objects of one bucket.

mod bucket;
mod delete;
mod fence;
mod folders;
mod read;
mod upload;

use aws_sdk_s3::{Client, primitives::ByteStream};
use bytes::Bytes;

use crate::{
    Result, S3Settings, Timeouts,
    client::{connect, timeout_config},
    error::from_sdk,
};
use fence::Fence;
pub use upload::{ObjectHeaders, PART_BYTES, Upload};

/// A bucket. Clones share one connection pool.
#[derive(Clone, Debug)]
pub struct ObjectStore {
    client: Client,
    bucket: String,
    endpoint: String,
    timeouts: Timeouts,
    fence: Fence,
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
        }
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

    /// Writes an object, replacing the one that may be there.
    pub async fn put(&self, key: &str, content: Bytes) -> Result<()> {
        self.fence.check("PutObject", key)?;
        let timeouts = timeout_config(&self.timeouts, content.len() as u64);
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .body(ByteStream::from(content))
            .customize()
            .config_override(aws_sdk_s3::config::Config::builder().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| from_sdk("PutObject", key, error))?;
        Ok(())
    }
}
