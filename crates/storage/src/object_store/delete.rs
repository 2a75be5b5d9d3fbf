//! Deleting. What is not there counts as deleted.
//!
//! Many objects are deleted by one `DeleteObjects` where the server takes it. S3 demands a checksum
//! of that request and servers disagree on which: the SDK sends a CRC32, which older ones refuse;
//! then it is tried with `Content-MD5`, and at last one by one. What a server took is remembered.

use std::sync::atomic::{AtomicU8, Ordering};

use aws_sdk_s3::{
    config::http::HttpRequest,
    types::{Delete, ObjectIdentifier},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};

use super::{Object, ObjectStore};
use crate::{Cause, Error, Result};

/// S3's limit for one `DeleteObjects`.
const BATCH: usize = 1000;
/// Single deletes at once.
const PARALLEL: usize = 8;
const OPERATION: &str = "DeleteObjects";

/// How a server takes many deletes; clones of a client share it.
#[derive(Debug, Default)]
pub(super) struct DeleteSupport(AtomicU8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeleteMethod {
    Checksum,
    ContentMd5,
    Single,
}

/// The methods in the order in which they are tried.
const METHODS: [DeleteMethod; 3] =
    [DeleteMethod::Checksum, DeleteMethod::ContentMd5, DeleteMethod::Single];

impl DeleteSupport {
    /// What is left to try.
    fn left(&self) -> &'static [DeleteMethod] {
        &METHODS[usize::from(self.0.load(Ordering::Relaxed)).min(METHODS.len() - 1)..]
    }

    fn remember(&self, method: DeleteMethod) {
        if self.0.swap(method as u8, Ordering::Relaxed) != method as u8 {
            tracing::info!(?method, "the S3 server does not take DeleteObjects as it is today");
        }
    }
}

impl ObjectStore {
    /// Deletes an object; one that is not there is fine.
    pub async fn delete(&self, key: &str) -> Result<()> {
        const OPERATION: &str = "DeleteObject";
        self.check_fence(OPERATION, key)?;
        match self.client.delete_object().bucket(&self.bucket).key(key).send().await {
            Ok(_) => Ok(()),
            Err(error) => match self.refused(OPERATION, key, error) {
                error @ Error::NotFound { .. } => match self.prove_missing(key, error).await {
                    Error::NotFound { .. } => Ok(()),
                    error => Err(error),
                },
                error => Err(error),
            },
        }
    }

    /// Deletes every object whose key starts with `prefix`; returns how many there were.
    ///
    /// Refuses an empty prefix, which would mean the whole bucket.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<u64> {
        if prefix.is_empty() {
            let cause = Cause::Invalid("an empty prefix is the whole bucket".to_owned());
            return Err(self.failed(OPERATION, prefix, cause));
        }
        let objects = self.list(prefix).await?;
        for batch in objects.chunks(BATCH) {
            self.delete_batch(prefix, batch).await?;
        }
        Ok(objects.len() as u64)
    }

    async fn delete_batch(&self, prefix: &str, batch: &[Object]) -> Result<()> {
        let methods = self.delete_support.left();
        for (at, method) in methods.iter().enumerate() {
            let deleted = match method {
                DeleteMethod::Single => self.delete_each(batch).await,
                method => self.delete_objects(prefix, batch, *method).await,
            };
            match deleted {
                Err(error) if at + 1 < methods.len() && is_not_taken(&error) => {
                    let (bucket, error) = (&self.bucket, &error as &dyn std::error::Error);
                    tracing::debug!(
                        bucket,
                        prefix,
                        ?method,
                        error,
                        "trying another method to delete"
                    );
                }
                Ok(()) => {
                    self.delete_support.remember(*method);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn delete_each(&self, batch: &[Object]) -> Result<()> {
        let delete = |object: &Object| {
            let (store, key) = (self.clone(), object.key.clone());
            async move { store.delete(&key).await }
        };
        let deletes: Vec<_> = batch.iter().map(delete).collect();
        stream::iter(deletes).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn delete_objects(
        &self,
        prefix: &str,
        batch: &[Object],
        method: DeleteMethod,
    ) -> Result<()> {
        self.check_fence(OPERATION, prefix)?;
        let invalid = |error: aws_sdk_s3::error::BuildError| {
            self.failed(OPERATION, prefix, Cause::Invalid(error.to_string()))
        };
        let keys = batch
            .iter()
            .map(|object| ObjectIdentifier::builder().key(&object.key).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(invalid)?;
        let delete =
            Delete::builder().set_objects(Some(keys)).quiet(true).build().map_err(invalid)?;
        let request = self.client.delete_objects().bucket(&self.bucket).delete(delete).customize();
        let request = match method {
            DeleteMethod::ContentMd5 => request.mutate_request(use_content_md5),
            _ => request,
        };
        let answer = request.send().await.map_err(|e| self.refused(OPERATION, prefix, e))?;
        match answer.errors().iter().find(|error| error.code() != Some("NoSuchKey")) {
            None => Ok(()),
            Some(error) => {
                let cause = Cause::Answered {
                    status: 200,
                    code: error.code().unwrap_or("without a code").to_owned(),
                    message: error.message().unwrap_or("no explanation").to_owned(),
                };
                Err(self.failed(OPERATION, error.key().unwrap_or(prefix), cause))
            }
        }
    }
}

/// Whether the server does not know the request as it was sent, rather than refuse or fail to do
/// it. Which code it has for that is anybody's guess.
fn is_not_taken(error: &Error) -> bool {
    let unknown = |status| matches!(status, 400 | 405 | 411 | 501);
    !error.is_transient() && error.answered().is_some_and(|(status, _)| unknown(status))
}

/// Replaces the checksum of the SDK by the one that every S3 server has known from the beginning.
fn use_content_md5(request: &mut HttpRequest) {
    let Some(body) = request.body().bytes() else { return };
    let digest = STANDARD.encode(Md5::digest(body));
    let headers = request.headers_mut();
    for name in ["x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm"] {
        headers.remove(name);
    }
    headers.insert("content-md5", digest);
}
