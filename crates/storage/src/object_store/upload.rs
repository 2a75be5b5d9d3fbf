//! Writing an object whose size nobody knows before its end.
//!
//! Invariants: at most one part is in memory; the object is there whole once
//! [`Upload::finish`] has succeeded and not before; an upload that is dropped
//! or aborted leaves nothing in the bucket. Where the process is killed, S3
//! keeps parts that no listing shows and that a lifecycle rule can end.

use aws_sdk_s3::{
    config::Config,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::BytesMut;

use super::{ObjectHeaders, ObjectStore};
use crate::{Cause, Error, Result, client::timeout_config};

/// Bytes of a part: S3 wants 5 MiB at least and takes 10,000 of them.
pub const PART_BYTES: usize = 8 * 1024 * 1024;
const MAX_PARTS: usize = 10_000;

/// An object that is being written.
#[derive(Debug)]
pub struct Upload {
    store: ObjectStore,
    key: String,
    headers: ObjectHeaders,
    /// S3's id of the upload, once there is more than one part.
    id: Option<String>,
    parts: Vec<CompletedPart>,
    buffer: BytesMut,
    size: u64,
}

impl ObjectStore {
    /// Begins to write an object; nothing is sent yet.
    pub fn upload(&self, key: &str, headers: ObjectHeaders) -> Upload {
        Upload {
            store: self.clone(),
            key: key.to_owned(),
            headers,
            id: None,
            parts: Vec::new(),
            buffer: BytesMut::new(),
            size: 0,
        }
    }
}

impl Upload {
    /// Takes the next bytes; sends a part when there is a whole one.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.size += chunk.len() as u64;
        let mut rest = chunk;
        while self.buffer.len() + rest.len() > PART_BYTES {
            let (now, later) = rest.split_at(PART_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(now);
            self.send_part().await?;
            rest = later;
        }
        self.buffer.extend_from_slice(rest);
        Ok(())
    }

    /// Sends what is left; then the object is there.
    pub async fn finish(mut self) -> Result<()> {
        if self.id.is_none() {
            let content = self.buffer.split().freeze();
            return self.store.put_as(&self.key, content, Some(&self.headers)).await;
        }
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        self.complete().await
    }

    /// Gives up; what was sent is removed.
    pub async fn abort(mut self) -> Result<()> {
        match self.id.take() {
            Some(id) => abort(&self.store, &self.key, &id).await,
            None => Ok(()),
        }
    }

    async fn send_part(&mut self) -> Result<()> {
        const OPERATION: &str = "UploadPart";
        if self.parts.len() >= MAX_PARTS {
            let cause = Cause::Invalid(format!("an object has at most {MAX_PARTS} parts"));
            return Err(self.store.failed(OPERATION, &self.key, cause));
        }
        let id = self.begun().await?;
        let content = self.buffer.split().freeze();
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let timeouts = timeout_config(&self.store.timeouts, content.len() as u64);
        let (store, key) = (&self.store, &self.key);
        let send = || {
            store
                .client
                .upload_part()
                .bucket(&store.bucket)
                .key(key)
                .upload_id(&id)
                .part_number(number)
                .body(ByteStream::from(content.clone()))
                .customize()
                .config_override(Config::builder().timeout_config(timeouts.clone()))
                .send()
        };
        let sent = || async { send().await.map_err(|error| store.refused(OPERATION, key, error)) };
        let answer = store.write(OPERATION, key, sent).await?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
        self.parts.push(part.build());
        Ok(())
    }

    /// The upload's id; S3 is told of the upload at the first part.
    async fn begun(&mut self) -> Result<String> {
        const OPERATION: &str = "CreateMultipartUpload";
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let (store, key) = (&self.store, &self.key);
        let send = || {
            store
                .client
                .create_multipart_upload()
                .bucket(&store.bucket)
                .key(key)
                .content_type(&self.headers.content_type)
                .content_disposition(&self.headers.content_disposition)
                .send()
        };
        let sent = || async { send().await.map_err(|error| store.refused(OPERATION, key, error)) };
        let answer = store.write(OPERATION, key, sent).await?;
        let id = answer.upload_id.unwrap_or_default();
        self.id = Some(id.clone());
        Ok(id)
    }

    async fn complete(&mut self) -> Result<()> {
        let parts = CompletedMultipartUpload::builder();
        let parts = parts.set_parts(Some(std::mem::take(&mut self.parts))).build();
        let answer = self
            .store
            .client
            .complete_multipart_upload()
            .bucket(&self.store.bucket)
            .key(&self.key)
            .set_upload_id(self.id.clone())
            .multipart_upload(parts)
            .send()
            .await;
        if let Err(error) = answer {
            // An answer that was lost leaves the object behind, and the
            // upload's id is not known any more.
            if self.store.head(&self.key).await.ok().flatten() != Some(self.size) {
                return Err(self.store.refused("CompleteMultipartUpload", &self.key, error));
            }
        }
        self.id = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (store, key) = (self.store.clone(), std::mem::take(&mut self.key));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = abort(&store, &key, &id).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(key, error, "parts of an upload are left behind");
                }
            });
        }
    }
}

async fn abort(store: &ObjectStore, key: &str, id: &str) -> Result<()> {
    let request = store.client.abort_multipart_upload().bucket(&store.bucket).key(key);
    match request.upload_id(id).send().await {
        Ok(_) => Ok(()),
        Err(error) => match store.refused("AbortMultipartUpload", key, error) {
            Error::NotFound { .. } => Ok(()),
            error => Err(error),
        },
    }
}
