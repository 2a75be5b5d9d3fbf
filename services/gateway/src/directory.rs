//! What the gateway asks of the identity database to decide about a request.

use async_trait::async_trait;
use uuid::Uuid;
use yuantus_auth::{
    permission::Access,
    tenancy::{KeyFacts, OrgFacts, SessionFacts, TenantFacts, UserFacts},
};
use yuantus_domain::{OrgId, OrgKey, Result, TenantId};

/// The identity database. The gateway remembers its answers until it hears
/// that one of them is no longer true.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// The tenant of this id.
    async fn tenant(&self, id: &TenantId) -> Result<Option<TenantFacts>>;

    /// The org of this key, with its database.
    async fn org(&self, key: &OrgKey) -> Result<Option<OrgFacts>>;

    /// The one org of a tenant; `None` where there are others, or none.
    async fn only_org(&self, tenant: &TenantId) -> Result<Option<OrgId>>;

    /// The user of this id; `None` for one who is gone or not active.
    async fn user(&self, id: i32) -> Result<Option<UserFacts>>;

    /// The session of this id; `None` for one that has ended.
    async fn session(&self, id: Uuid) -> Result<Option<SessionFacts>>;

    /// The key of this hash, which is being used; `None` for one that is
    /// unknown, or over.
    async fn api_key(&self, hash: &[u8; 32]) -> Result<Option<KeyFacts>>;

    /// Whether there is, or ever was, a platform administrator.
    async fn has_owner(&self) -> Result<bool>;

    /// What a user is in an org; `None` for one who is no member of it.
    async fn membership(&self, key: &OrgKey, user: i32) -> Result<Option<Vec<String>>>;

    /// Records that the caller of the running request, a platform
    /// administrator, acts within a tenant: before it changes anything there, a
    /// moment later where it only reads.
    async fn record_impersonation(&self, access: Access) -> Result<()>;
}
