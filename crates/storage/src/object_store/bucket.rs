//! The bucket itself.

use aws_sdk_s3::{
    config::{Config, retry::RetryConfig, timeout::TimeoutConfig},
    types::{BucketLocationConstraint, CreateBucketConfiguration},
};

use super::ObjectStore;
use crate::{
    Error, Result,
    error::{Cause, from_sdk},
};

impl ObjectStore {
    /// Creates the bucket unless it is there. Two callers at once are fine.
    pub async fn ensure_bucket(&self) -> Result<()> {
        match self.head_bucket().await {
            Err(Error::NotFound { .. }) => self.create_bucket().await,
            result => result,
        }
    }

    /// Asks whether the bucket can be reached, once and quickly.
    pub async fn ping(&self) -> Result<()> {
        let limit = self.timeouts.ping;
        let timeouts =
            TimeoutConfig::builder().connect_timeout(limit).operation_timeout(limit).build();
        let once = Config::builder().timeout_config(timeouts).retry_config(RetryConfig::disabled());
        let request = self.client.head_bucket().bucket(&self.bucket);
        let answer = request.customize().config_override(once).send().await;
        answer.map_err(|error| from_sdk("HeadBucket", &self.bucket, error))?;
        Ok(())
    }

    async fn head_bucket(&self) -> Result<()> {
        let answer = self.client.head_bucket().bucket(&self.bucket).send().await;
        answer.map_err(|error| from_sdk("HeadBucket", &self.bucket, error))?;
        Ok(())
    }

    async fn create_bucket(&self) -> Result<()> {
        let region = self.client.config().region().map(|region| region.as_ref().to_owned());
        // AWS wants the region named, except the one where naming it is an error.
        let place = region.filter(|region| region != "us-east-1").map(|region| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region.as_str()))
                .build()
        });
        let request = self.client.create_bucket().bucket(&self.bucket);
        match request.set_create_bucket_configuration(place).send().await {
            Ok(_) => Ok(()),
            Err(error) => match from_sdk("CreateBucket", &self.bucket, error) {
                Error::Request { cause: Cause::Answered { code, .. }, .. }
                    if matches!(
                        code.as_str(),
                        "BucketAlreadyOwnedByYou" | "BucketAlreadyExists"
                    ) =>
                {
                    Ok(())
                }
                error => Err(error),
            },
        }
    }
}
