//! The bucket itself.

use aws_sdk_s3::{
    config::{Builder, Config, retry::RetryConfig, timeout::TimeoutConfig},
    types::{BucketLocationConstraint, CreateBucketConfiguration},
};

use super::ObjectStore;
use crate::Result;

impl ObjectStore {
    /// Creates the bucket unless it is there. Two callers at once are fine.
    pub async fn ensure_bucket(&self) -> Result<()> {
        match self.find_bucket(&Config::builder()).await {
            Err(error) if error.is_missing_bucket() => self.create_bucket().await,
            result => result,
        }
    }

    /// Asks whether the bucket can be used, once and quickly.
    pub async fn ping(&self) -> Result<()> {
        let limit = self.timeouts.ping;
        let timeouts =
            TimeoutConfig::builder().connect_timeout(limit).operation_timeout(limit).build();
        let once = Config::builder().timeout_config(timeouts).retry_config(RetryConfig::disabled());
        self.find_bucket(&once).await
    }

    /// Whether the bucket is there for us. What answers a HEAD has no body and so cannot say what
    /// is wrong: where it is an error, a listing is asked for, which says it.
    async fn find_bucket(&self, config: &Builder) -> Result<()> {
        let head = self.client.head_bucket().bucket(&self.bucket);
        let Err(error) = head.customize().config_override(config.clone()).send().await else {
            return Ok(());
        };
        let error = self.refused("HeadBucket", "", error);
        if error.answered().is_none() {
            return Err(error);
        }
        let list = self.client.list_objects_v2().bucket(&self.bucket).max_keys(1);
        let listed = list.customize().config_override(config.clone()).send().await;
        listed.map_err(|error| self.refused("ListObjectsV2", "", error))?;
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
        let made = request.set_create_bucket_configuration(place).send().await;
        match made.map_err(|error| self.refused("CreateBucket", "", error)) {
            Ok(_) => {
                tracing::info!(bucket = self.bucket, "made the bucket");
                Ok(())
            }
            // Made by another of us, or somebody else's: then it is not there for us.
            Err(error) if is_there_already(error.answered()) => {
                self.find_bucket(&Config::builder()).await
            }
            Err(error) => Err(error),
        }
    }
}

fn is_there_already(answered: Option<(u16, &str)>) -> bool {
    matches!(answered, Some((_, "BucketAlreadyOwnedByYou" | "BucketAlreadyExists")))
}
