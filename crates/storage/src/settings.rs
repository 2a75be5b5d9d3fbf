//! Where the bucket is and who we are there. `Debug` leaves the credentials out.

use std::{fmt, time::Duration};

use secrecy::SecretString;

/// How to reach one bucket.
#[derive(Clone)]
pub struct S3Settings {
    /// Base URL of the server, such as `http://127.0.0.1:9000`; AWS itself if `None`.
    pub endpoint_url: Option<String>,
    /// Region that requests are signed for.
    pub region: String,
    /// The bucket all keys are in.
    pub bucket: String,
    /// Id of the access key.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: SecretString,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Settings")
            .field("endpoint_url", &self.endpoint_url)
            .field("region", &self.region)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// How long a request may take before it counts as failed and is tried again.
///
/// Bodies get time on top, by their size at [`Timeouts::slowest_bytes_per_second`], so that a slow
/// line is told apart from a dead one.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the TCP and TLS handshakes.
    pub connect: Duration,
    /// Until the first byte of the answer, the body's sending aside.
    pub read: Duration,
    /// For one attempt, bodies aside.
    pub attempt: Duration,
    /// For [`crate::ObjectStore::ping`], which is tried once.
    pub ping: Duration,
    /// A line slower than this fails.
    pub slowest_bytes_per_second: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(10),
            attempt: Duration::from_secs(20),
            ping: Duration::from_secs(2),
            slowest_bytes_per_second: 256 * 1024,
        }
    }
}

impl Timeouts {
    /// The time that `bytes` of body are given.
    pub(crate) fn for_body(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1000) / self.slowest_bytes_per_second.max(1))
    }
}
