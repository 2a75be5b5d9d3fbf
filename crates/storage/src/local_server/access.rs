//! Who may do what: the holder of the key everything, others nothing.
//!
//! It is also the one place where a request can be touched between its signature check and its
//! execution, which is needed: `s3s-fs` takes an empty delimiter for a delimiter and lists nothing,
//! where S3 takes it for none. `restic` sends an empty one.

use s3s::{
    S3Request, S3Result,
    access::{S3Access, S3AccessContext},
    dto::{ListObjectsInput, ListObjectsV2Input},
    s3_error,
};

pub(super) struct KeyHolder;

#[async_trait::async_trait]
impl S3Access for KeyHolder {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        match context.credentials() {
            Some(_) => Ok(()),
            None => Err(s3_error!(AccessDenied, "Signature is required")),
        }
    }

    async fn list_objects(&self, request: &mut S3Request<ListObjectsInput>) -> S3Result<()> {
        request.input.delimiter.take_if(|delimiter| delimiter.is_empty());
        Ok(())
    }

    async fn list_objects_v2(&self, request: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        request.input.delimiter.take_if(|delimiter| delimiter.is_empty());
        Ok(())
    }
}
