//! Reading and listing.
//!
//! The SDK retries until the answer's head has arrived; what breaks in the body is ours to retry.

use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::Bytes;

use super::{Object, ObjectStore};
use crate::{
    Error, Result,
    client::ATTEMPTS,
    error::{Cause, from_sdk},
};

const OPERATION: &str = "GetObject";

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
            Err(error) => match from_sdk("HeadObject", key, error) {
                Error::NotFound { .. } => Ok(None),
                error => Err(error),
            },
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
            let page = page.map_err(|error| from_sdk("ListObjectsV2", prefix, error))?;
            objects.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                let size = object.size.unwrap_or(0).max(0).cast_unsigned();
                Some(Object { key: object.key?, size })
            }));
        }
        Ok(objects)
    }

    async fn read(&self, key: &str, range: Option<String>) -> Result<Bytes> {
        let mut attempt = 1;
        loop {
            let head = self
                .client
                .get_object()
                .bucket(&self.bucket)
                .key(key)
                .set_range(range.clone())
                .send()
                .await
                .map_err(|error| from_sdk(OPERATION, key, error))?;
            match self.body(head).await {
                Ok(bytes) => return Ok(bytes),
                Err(cause) if attempt >= ATTEMPTS => {
                    return Err(Error::Request {
                        operation: OPERATION,
                        key: key.to_owned(),
                        cause,
                    });
                }
                Err(cause) => tracing::debug!(key, attempt, %cause, "reading an object again"),
            }
            tokio::time::sleep(Duration::from_millis(100) * attempt).await;
            attempt += 1;
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
