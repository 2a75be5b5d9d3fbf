//! What the gateway asks about the things we depend on.

use async_trait::async_trait;
use yuantus_control_plane::app::{App, clock};
use yuantus_domain::OrgKey;
use yuantus_gateway::{Health, StorageFacts, health::ProbeError};

/// Answers from the use cases' own connections.
pub(crate) struct AppHealth(pub(crate) App);

#[async_trait]
impl Health for AppHealth {
    async fn identity_database(&self) -> Result<(), ProbeError> {
        Ok(self.0.check_identity().await?)
    }

    async fn database(&self, org: Option<&OrgKey>) -> Result<(), ProbeError> {
        Ok(self.0.check_database(org).await?)
    }

    async fn storage(&self) -> Result<(), ProbeError> {
        Ok(self.0.check_storage().await?)
    }

    fn clock_offset(&self) -> Option<i64> {
        Some(clock::offset()).filter(|offset| offset.abs() > clock::TOLERANCE)
    }

    fn storage_facts(&self) -> StorageFacts {
        StorageFacts {
            bucket: self.0.store.bucket().to_owned(),
            endpoint_url: Some(self.0.store.endpoint().to_owned()),
        }
    }
}
