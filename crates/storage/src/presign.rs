//! URLs that give one object to whoever has them, for a while.
//!
//! Invariant: a URL is signed for one method: that for GET does not answer
//! HEAD. It is signed for the endpoint it names, so it is made for the one
//! that clients reach.

use std::{fmt, time::Duration};

use aws_sdk_s3::{Client, presigning::PresigningConfig};

use crate::{
    Error, Result, S3Settings, Subject, Timeouts,
    client::connect,
    error::{Cause, from_sdk},
};

/// Makes URLs for the objects of one bucket. It sends nothing.
#[derive(Clone)]
pub struct Presigner {
    client: Client,
    bucket: String,
    valid: Duration,
}

impl Presigner {
    /// For the endpoint of `settings`; URLs are good for `valid`, which is at
    /// most a week.
    pub fn new(settings: &S3Settings, valid: Duration) -> Self {
        let client = connect(settings, &Timeouts::default());
        Self { client, bucket: settings.bucket.clone(), valid }
    }

    /// How long URLs are good for.
    pub fn valid(&self) -> Duration {
        self.valid
    }

    /// A URL for GET.
    pub async fn get(&self, key: &str) -> Result<String> {
        let config = self.config("GetObject", key)?;
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        let signed = request.presigned(config).await;
        Ok(signed
            .map_err(|error| from_sdk("GetObject", self.subject(key), error))?
            .uri()
            .to_owned())
    }

    /// A URL for HEAD.
    pub async fn head(&self, key: &str) -> Result<String> {
        let config = self.config("HeadObject", key)?;
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        let signed = request.presigned(config).await;
        Ok(signed
            .map_err(|error| from_sdk("HeadObject", self.subject(key), error))?
            .uri()
            .to_owned())
    }

    fn subject(&self, key: &str) -> Subject {
        Subject { bucket: self.bucket.clone(), key: key.to_owned() }
    }

    fn config(&self, operation: &'static str, key: &str) -> Result<PresigningConfig> {
        PresigningConfig::expires_in(self.valid).map_err(|error| Error::Request {
            operation,
            subject: self.subject(key),
            cause: Cause::Invalid(error.to_string()),
        })
    }
}

impl fmt::Debug for Presigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presigner").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
