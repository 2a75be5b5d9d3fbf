//! Deleting. What is not there counts as deleted.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::{Object, ObjectStore};
use crate::{
    Error, Result,
    error::{Cause, from_sdk},
};

/// S3's limit for one `DeleteObjects`.
const BATCH: usize = 1000;
const OPERATION: &str = "DeleteObjects";

impl ObjectStore {
    /// Deletes an object; one that is not there is fine.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.fence.check("DeleteObject", key)?;
        match self.client.delete_object().bucket(&self.bucket).key(key).send().await {
            Ok(_) => Ok(()),
            Err(error) => match from_sdk("DeleteObject", key, error) {
                Error::NotFound { .. } => Ok(()),
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
            return Err(Error::Request { operation: OPERATION, key: String::new(), cause });
        }
        let objects = self.list(prefix).await?;
        for batch in objects.chunks(BATCH) {
            self.delete_batch(prefix, batch).await?;
        }
        Ok(objects.len() as u64)
    }

    async fn delete_batch(&self, prefix: &str, batch: &[Object]) -> Result<()> {
        self.fence.check(OPERATION, prefix)?;
        let invalid = |error: aws_sdk_s3::error::BuildError| Error::Request {
            operation: OPERATION,
            key: prefix.to_owned(),
            cause: Cause::Invalid(error.to_string()),
        };
        let keys = batch
            .iter()
            .map(|object| ObjectIdentifier::builder().key(&object.key).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(invalid)?;
        let delete =
            Delete::builder().set_objects(Some(keys)).quiet(true).build().map_err(invalid)?;
        let answer = self
            .client
            .delete_objects()
            .bucket(&self.bucket)
            .delete(delete)
            .send()
            .await
            .map_err(|error| from_sdk(OPERATION, prefix, error))?;
        match answer.errors().iter().find(|error| error.code() != Some("NoSuchKey")) {
            None => Ok(()),
            Some(error) => Err(Error::Request {
                operation: OPERATION,
                key: error.key().unwrap_or(prefix).to_owned(),
                cause: Cause::Answered {
                    status: 200,
                    code: error.code().unwrap_or("without a code").to_owned(),
                    message: error.message().unwrap_or("no explanation").to_owned(),
                },
            }),
        }
    }
}
