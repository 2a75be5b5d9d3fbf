//! What the gateway asks of the identity database.

use async_trait::async_trait;
use uuid::Uuid;
use yuantus_auth::{
    permission::Access,
    tenancy::{KeyFacts, OrgFacts, SessionFacts, TenantFacts, UserFacts},
};
use yuantus_control_plane::app::App;
use yuantus_domain::{OrgId, OrgKey, Result, TenantId};
use yuantus_gateway::Directory;

/// Answers from the use cases' own connections.
pub(crate) struct AppDirectory(pub(crate) App);

#[async_trait]
impl Directory for AppDirectory {
    async fn tenant(&self, id: &TenantId) -> Result<Option<TenantFacts>> {
        self.0.tenant_facts(id).await
    }

    async fn org(&self, key: &OrgKey) -> Result<Option<OrgFacts>> {
        self.0.org_facts(key).await
    }

    async fn only_org(&self, tenant: &TenantId) -> Result<Option<OrgId>> {
        self.0.only_org(tenant).await
    }

    async fn user(&self, id: i32) -> Result<Option<UserFacts>> {
        self.0.user_facts(id).await
    }

    async fn session(&self, id: Uuid) -> Result<Option<SessionFacts>> {
        self.0.session_facts(id).await
    }

    async fn api_key(&self, hash: &[u8; 32]) -> Result<Option<KeyFacts>> {
        self.0.key_facts(hash).await
    }

    async fn has_owner(&self) -> Result<bool> {
        self.0.has_owner().await
    }

    async fn membership(&self, key: &OrgKey, user: i32) -> Result<Option<Vec<String>>> {
        self.0.membership(key, user).await
    }

    async fn record_impersonation(&self, access: Access) -> Result<()> {
        self.0.record_impersonation(access).await
    }
}
