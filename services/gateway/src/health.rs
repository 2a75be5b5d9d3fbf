//! Whether what we depend on is there.

use std::{error::Error, future::Future, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;
use yuantus_domain::OrgKey;

/// A probe that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a dependency cannot be used; its `Display` is shown to anybody.
pub type ProbeError = Box<dyn Error + Send + Sync>;

/// Where S3 is.
#[derive(Clone, Debug)]
pub struct StorageFacts {
    /// The bucket.
    pub bucket: String,
    /// The endpoint; `None` for AWS.
    pub endpoint_url: Option<String>,
}

/// Probes what the control plane depends on. The gateway bounds every probe.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// The identity database: without it nothing can be served.
    async fn identity_database(&self) -> Result<(), ProbeError>;

    /// The database of an org; without one, the server that holds them.
    async fn database(&self, org: Option<&OrgKey>) -> Result<(), ProbeError>;

    /// S3.
    async fn storage(&self) -> Result<(), ProbeError>;

    /// Where S3 is.
    fn storage_facts(&self) -> StorageFacts;

    /// By how many seconds the identity database's clock is ahead of the
    /// host's, where that is too much.
    fn clock_offset(&self) -> Option<i64> {
        None
    }
}

/// Runs a probe, for 2 seconds at most.
pub(crate) async fn bounded(
    probe: impl Future<Output = Result<(), ProbeError>>,
) -> Result<(), String> {
    match timeout(PATIENCE, probe).await {
        Ok(probed) => probed.map_err(|error| error.to_string()),
        Err(_) => Err("no answer within 2 seconds".to_owned()),
    }
}
