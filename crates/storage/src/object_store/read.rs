//! Reading and listing.
//!
//! The SDK retries until the answer's head has arrived; what breaks in the body is ours to retry.
//! Invariant: an object that is said to be missing was looked for twice, the second time in a
//! listing, which only a bucket that exists has; what servers in front of S3, or another server at
//! its address, say is not taken for it.

use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::Bytes;

use super::{Object, ObjectStore};
use crate::{Cause, Error, Result, client::ATTEMPTS};

const OPERATION: &str = "GetObject";
const LIST: &str = "ListObjectsV2";

impl ObjectStore {
    /// Reads a whole object.
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        self.read(key, None).await
    }

    /// Reads `length` bytes from `offset` on, fewer where the object ends.
    pub async fn get_range(&self, key: &str, offset: u64, length: u64) -> Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let last = offset.saturating_add(length - 1);
        self.read(key, Some(format!("bytes={offset}-{last}"))).await
    }

    /// The object's size, `None` if there is none.
    pub async fn head(&self, key: &str) -> Result<Option<u64>> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => Ok(Some(head.content_length().unwrap_or(0).max(0).cast_unsigned())),
            Err(error) => match self.refused("HeadObject", key, error) {
                error @ Error::NotFound { .. } => match self.prove_missing(key, error).await {
                    Error::NotFound { .. } => Ok(None),
                    error => Err(error),
                },
                error => Err(self.explained(key, error).await),
            },
        }
    }

    /// What answers a HEAD has no body and so does not say why. A listing that is refused as well
    /// does.
    async fn explained(&self, key: &str, error: Error) -> Error {
        if error.is_transient() || error.answered().is_none() {
            return error;
        }
        self.first(key).await.err().unwrap_or(error)
    }

    /// Asks for a listing whether the object that an answer called missing is missing: answers
    /// `missing` where it is, and what is wrong otherwise.
    pub(super) async fn prove_missing(&self, key: &str, missing: Error) -> Error {
        // The first of a prefix is the prefix itself.
        let first = match self.first(key).await {
            Ok(first) => first,
            Err(error) => return error,
        };
        match missing {
            Error::NotFound { operation, .. } if first.is_some_and(|found| found.key == key) => {
                let cause = "it lists the object and says that there is none".to_owned();
                self.failed(operation, key, Cause::Contradiction(cause))
            }
            missing => missing,
        }
    }

    /// All objects whose key starts with `prefix`, by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.refused(LIST, prefix, error))?;
            objects.extend(page.contents.into_iter().flatten().filter_map(listed));
        }
        Ok(objects)
    }

    /// Whether there is any object whose key starts with `prefix`.
    pub async fn has_any(&self, prefix: &str) -> Result<bool> {
        Ok(self.first(prefix).await?.is_some())
    }

    /// The first object whose key starts with `prefix`.
    async fn first(&self, prefix: &str) -> Result<Option<Object>> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let mut pages = list.into_paginator().send();
        // A page may be empty although others follow.
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.refused(LIST, prefix, error))?;
            if let Some(first) = page.contents.into_iter().flatten().find_map(listed) {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    async fn read(&self, key: &str, range: Option<String>) -> Result<Bytes> {
        let mut attempt = 1;
        loop {
            match self.read_once(key, range.clone()).await {
                Err(Error::Request { cause, .. }) if is_ours_to_retry(&cause) => {
                    if attempt >= ATTEMPTS {
                        return Err(self.failed(OPERATION, key, cause));
                    }
                    tracing::debug!(key, attempt, %cause, "reading an object again");
                }
                result => return result,
            }
            tokio::time::sleep(Duration::from_millis(100) * attempt).await;
            attempt += 1;
        }
    }

    async fn read_once(&self, key: &str, range: Option<String>) -> Result<Bytes> {
        let request = self.client.get_object().bucket(&self.bucket).key(key).set_range(range);
        match request.send().await {
            Ok(head) => self.body(head).await.map_err(|cause| self.failed(OPERATION, key, cause)),
            Err(error) => match self.refused(OPERATION, key, error) {
                error @ Error::NotFound { .. } => Err(self.prove_missing(key, error).await),
                error => Err(error),
            },
        }
    }

    /// The whole body, within the time its size allows.
    async fn body(&self, head: GetObjectOutput) -> Result<Bytes, Cause> {
        let announced = head.content_length().unwrap_or(0).max(0).cast_unsigned();
        let limit = self.timeouts.attempt + self.timeouts.for_body(announced);
        match tokio::time::timeout(limit, head.body.collect()).await {
            Ok(Ok(body)) => Ok(body.into_bytes()),
            Ok(Err(error)) => {
                let error = aws_sdk_s3::error::DisplayErrorContext(&error).to_string();
                Err(Cause::Body(error))
            }
            Err(_) => Err(Cause::BodyTimedOut(limit)),
        }
    }
}

fn listed(object: aws_sdk_s3::types::Object) -> Option<Object> {
    let size = object.size.unwrap_or(0).max(0).cast_unsigned();
    Some(Object { key: object.key?, size })
}

/// What the SDK does not know of and so has not tried again.
fn is_ours_to_retry(cause: &Cause) -> bool {
    matches!(cause, Cause::Body(_) | Cause::BodyTimedOut(_) | Cause::Contradiction(_))
}
