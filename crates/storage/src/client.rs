//! The configured SDK client.
//!
//! Path-style addressing, because private S3 servers rarely have a wildcard name. Checksums only
//! where S3 demands them: our packs are named by their SHA-256 and authenticated, and servers that
//! are not AWS disagree on the optional ones.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation,
        ResponseChecksumValidation, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
};
use secrecy::ExposeSecret;

use crate::{S3Settings, Timeouts};

/// Attempts of a request, the first one included.
pub(crate) const ATTEMPTS: u32 = 3;

/// How long a body may make no progress at all.
const STALL_GRACE: Duration = Duration::from_secs(10);

pub(crate) fn connect(settings: &S3Settings, timeouts: &Timeouts) -> Client {
    let credentials = Credentials::new(
        &settings.access_key_id,
        settings.secret_access_key.expose_secret(),
        None,
        None,
        "settings",
    );
    let stalled = StalledStreamProtectionConfig::enabled()
        .upload_enabled(true)
        .download_enabled(true)
        .grace_period(STALL_GRACE)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(Duration::from_millis(200));
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .credentials_provider(credentials)
        .force_path_style(true)
        .timeout_config(timeout_config(timeouts, 0))
        .retry_config(retries)
        .stalled_stream_protection(stalled)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(url) = &settings.endpoint_url {
        config = config.endpoint_url(url);
    }
    Client::from_conf(config.build())
}

/// The timeouts of a request that sends `body` bytes.
pub(crate) fn timeout_config(timeouts: &Timeouts, body: u64) -> TimeoutConfig {
    let sending = timeouts.for_body(body);
    TimeoutConfig::builder()
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read + sending)
        .operation_attempt_timeout(timeouts.attempt + sending)
        .build()
}
