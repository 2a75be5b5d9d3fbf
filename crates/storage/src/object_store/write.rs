//! Writing an object, or a part of one.
//!
//! Invariants: a bucket that is not there is made by whoever writes first, unless it was there before
//! ([`ObjectStore::expect_bucket`]); what the server says
//! arrived otherwise than it was sent is sent again before that is an error.

use aws_sdk_s3::{config::Config, primitives::ByteStream};
use bytes::Bytes;

use super::ObjectStore;
use crate::{
    Error, Result,
    client::{ATTEMPTS, timeout_config},
};

const OPERATION: &str = "PutObject";

/// What an object tells those who read it.
#[derive(Clone, Debug, Default)]
pub struct ObjectHeaders {
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Disposition`.
    pub content_disposition: String,
}

impl ObjectStore {
    /// Writes an object, replacing the one that may be there.
    pub async fn put(&self, key: &str, content: Bytes) -> Result<()> {
        self.put_as(key, content, None).await
    }

    pub(super) async fn put_as(
        &self,
        key: &str,
        content: Bytes,
        headers: Option<&ObjectHeaders>,
    ) -> Result<()> {
        let timeouts = timeout_config(&self.timeouts, content.len() as u64);
        let send = || {
            self.client
                .put_object()
                .bucket(&self.bucket)
                .key(key)
                .set_content_type(headers.map(|headers| headers.content_type.clone()))
                .set_content_disposition(headers.map(|headers| headers.content_disposition.clone()))
                .body(ByteStream::from(content.clone()))
                .customize()
                .config_override(Config::builder().timeout_config(timeouts.clone()))
                .send()
        };
        let sent = || async { send().await.map_err(|error| self.refused(OPERATION, key, error)) };
        self.write(OPERATION, key, sent).await?;
        Ok(())
    }

    /// Sends a write, and sends it again where the bucket had to be made first or where the content
    /// was changed on its way.
    pub(super) async fn write<T, F: Future<Output = Result<T>>>(
        &self,
        operation: &'static str,
        key: &str,
        send: impl Fn() -> F,
    ) -> Result<T> {
        let mut made = false;
        let mut attempt = 1;
        loop {
            self.check_fence(operation, key)?;
            match send().await {
                Err(error) if error.is_missing_bucket() && !made && !self.is_bucket_expected() => {
                    self.ensure_bucket().await?;
                    made = true;
                }
                Err(error) if error.is_digest_mismatch() && attempt < ATTEMPTS => {
                    self.warn_of_change(operation, key, &error);
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    fn warn_of_change(&self, operation: &str, key: &str, error: &Error) {
        let (bucket, error) = (&self.bucket, error as &dyn std::error::Error);
        tracing::warn!(operation, bucket, key, error, "changed on its way to S3; sent again");
    }
}
