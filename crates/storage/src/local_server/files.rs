//! The files behind the server: `s3s-fs`, with keys of any length.

use std::path::PathBuf;

use s3s::{
    S3, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, CommonPrefix,
        CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput,
        CopyObjectOutput, CopySource, CreateBucketInput, CreateBucketOutput,
        CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput,
        DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, GetBucketLocationInput,
        GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput,
        HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
        ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
        ListPartsInput, ListPartsOutput, Object, PutObjectInput, PutObjectOutput, UploadPartInput,
        UploadPartOutput,
    },
    s3_error,
};
use s3s_fs::FileSystem;

use super::names::Names;

/// The objects of a directory.
#[derive(Debug)]
pub(super) struct Files {
    files: FileSystem,
    names: Names,
    /// The directory of the buckets' directories.
    root: PathBuf,
}

impl Files {
    pub(super) fn new(files: FileSystem, names: Names, root: PathBuf) -> Self {
        Self { files, names, root }
    }

    /// Refuses to write to a bucket that is not there, which `s3s-fs` would make.
    fn expect_bucket(&self, bucket: &str) -> S3Result<()> {
        if self.root.join(bucket).is_dir() {
            return Ok(());
        }
        Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    /// How a key is stored that is going to be there.
    fn store(&self, key: &str) -> S3Result<String> {
        self.names.store(key).map_err(|error| s3_error!(error, InternalError))
    }

    fn original(&self, stored: &str) -> S3Result<String> {
        self.names.original(stored).map_err(|error| s3_error!(error, InternalError))
    }

    /// What a list found, under its own keys, as far as those begin with `prefix`.
    fn found(
        &self,
        prefix: &str,
        objects: Option<Vec<Object>>,
        prefixes: Option<Vec<CommonPrefix>>,
    ) -> S3Result<(Vec<Object>, Vec<CommonPrefix>)> {
        let mut found = Vec::new();
        for mut object in objects.unwrap_or_default() {
            let key = self.original(object.key.as_deref().unwrap_or_default())?;
            if key.starts_with(prefix) {
                object.key = Some(key);
                found.push(object);
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        let mut within = Vec::new();
        for common in prefixes.unwrap_or_default() {
            let common = self.original(common.prefix.as_deref().unwrap_or_default())?;
            if common.starts_with(prefix) {
                within.push(CommonPrefix { prefix: Some(common) });
            }
        }
        within.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        Ok((found, within))
    }
}

/// The stored prefix under which everything lies whose key begins with `prefix`.
fn stored_prefix(prefix: &str) -> String {
    let directory = prefix.rfind('/').map_or("", |end| &prefix[..=end]);
    Names::stored(directory)
}

#[async_trait::async_trait]
impl S3 for Files {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.files.create_bucket(request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.files.get_bucket_location(request).await
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(request).await
    }

    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        self.expect_bucket(&request.input.bucket)?;
        request.input.key = self.store(&request.input.key)?;
        self.files.put_object(request).await
    }

    async fn get_object(
        &self,
        mut request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        request.input.key = Names::stored(&request.input.key);
        self.files.get_object(request).await
    }

    async fn head_object(
        &self,
        mut request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        request.input.key = Names::stored(&request.input.key);
        self.files.head_object(request).await
    }

    async fn delete_object(
        &self,
        mut request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        request.input.key = Names::stored(&request.input.key);
        self.files.delete_object(request).await
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        request.input.key = Names::stored(&request.input.key);
        self.files.upload_part(request).await
    }

    async fn abort_multipart_upload(
        &self,
        mut request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        request.input.key = Names::stored(&request.input.key);
        self.files.abort_multipart_upload(request).await
    }

    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let mut answer = self.files.list_buckets(request).await?;
        let is_bucket =
            |bucket: &Bucket| bucket.name.as_ref().is_some_and(|name| !name.starts_with('.'));
        if let Some(buckets) = &mut answer.output.buckets {
            buckets.retain(is_bucket);
        }
        Ok(answer)
    }

    async fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.expect_bucket(&request.input.bucket)?;
        let key = request.input.key.clone();
        request.input.key = self.store(&key)?;
        let answer = self.files.create_multipart_upload(request).await?;
        Ok(answer.map_output(|output| CreateMultipartUploadOutput { key: Some(key), ..output }))
    }

    async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let key = request.input.key.clone();
        request.input.key = Names::stored(&key);
        let answer = self.files.complete_multipart_upload(request).await?;
        Ok(answer.map_output(|output| CompleteMultipartUploadOutput { key: Some(key), ..output }))
    }

    async fn list_parts(
        &self,
        mut request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let key = request.input.key.clone();
        request.input.key = Names::stored(&key);
        let answer = self.files.list_parts(request).await?;
        Ok(answer.map_output(|output| ListPartsOutput { key: Some(key), ..output }))
    }

    async fn copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        request.input.key = self.store(&request.input.key)?;
        if let CopySource::Bucket { key, .. } = &mut request.input.copy_source {
            *key = Names::stored(key).into();
        }
        self.files.copy_object(request).await
    }

    async fn delete_objects(
        &self,
        mut request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        for object in &mut request.input.delete.objects {
            object.key = Names::stored(&object.key);
        }
        let mut answer = self.files.delete_objects(request).await?;
        for deleted in answer.output.deleted.iter_mut().flatten() {
            // Nothing was there under a key that nobody ever stored.
            let stored = deleted.key.take().unwrap_or_default();
            deleted.key = Some(self.names.original(&stored).unwrap_or(stored));
        }
        Ok(answer)
    }

    async fn list_objects(
        &self,
        mut request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let prefix = request.input.prefix.take();
        let begins = prefix.clone().unwrap_or_default();
        request.input.prefix = Some(stored_prefix(&begins));
        request.input.marker = request.input.marker.as_deref().map(Names::stored);
        let mut answer = self.files.list_objects(request).await?;
        let output = &mut answer.output;
        let (contents, prefixes) =
            self.found(&begins, output.contents.take(), output.common_prefixes.take())?;
        output.next_marker =
            output.next_marker.as_deref().map(|next| self.original(next)).transpose()?;
        (output.contents, output.common_prefixes) = (Some(contents), Some(prefixes));
        output.prefix = prefix;
        Ok(answer)
    }

    async fn list_objects_v2(
        &self,
        mut request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let prefix = request.input.prefix.take();
        let begins = prefix.clone().unwrap_or_default();
        request.input.prefix = Some(stored_prefix(&begins));
        let after = request.input.start_after.take();
        request.input.start_after = after.as_deref().map(Names::stored);
        let mut answer = self.files.list_objects_v2(request).await?;
        let output = &mut answer.output;
        let (contents, prefixes) =
            self.found(&begins, output.contents.take(), output.common_prefixes.take())?;
        output.key_count = i32::try_from(contents.len() + prefixes.len()).ok();
        (output.contents, output.common_prefixes) = (Some(contents), Some(prefixes));
        (output.prefix, output.start_after) = (prefix, after);
        Ok(answer)
    }
}
