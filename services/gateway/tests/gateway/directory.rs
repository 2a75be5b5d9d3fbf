//! A directory that tests write down.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use uuid::Uuid;
use yuantus_auth::{
    Principal, Role, caller,
    permission::Access,
    tenancy::{KeyFacts, NotReady, OrgFacts, SessionFacts, TenantFacts, UserFacts},
};
use yuantus_domain::{OrgId, OrgKey, Plan, Result, TenantId, TenantStatus};
use yuantus_gateway::Directory;

/// Knows every tenant and org but those that tests say are otherwise, and the
/// users that tests made tokens for.
#[derive(Default)]
pub struct FakeDirectory {
    /// Tenants that are not active, and those that are not there.
    pub tenants: Mutex<HashMap<String, Option<TenantStatus>>>,
    /// Orgs that are not ready, and those that are not there.
    pub orgs: Mutex<HashMap<String, Option<NotReady>>>,
    /// Users who may come in.
    pub users: Mutex<HashMap<i32, UserFacts>>,
    /// The users' sessions.
    pub sessions: Mutex<HashMap<Uuid, SessionFacts>>,
    /// Keys, by their hashes.
    pub api_keys: Mutex<HashMap<[u8; 32], KeyFacts>>,
    /// `tenant/org/user` of those who are no members.
    pub strangers: Mutex<HashSet<String>>,
    /// `tenant` of every impersonation that was recorded; `tenant reads` of one
    /// that only reads.
    pub impersonations: Mutex<Vec<String>>,
    /// How often it was asked.
    pub asked: AtomicUsize,
}

impl FakeDirectory {
    /// Makes a user who may come in; answers the id, and that of a session.
    pub fn add_user(&self, tenant: &str, role: Role) -> (i32, Uuid) {
        let mut users = self.users.lock().unwrap();
        let id = i32::try_from(users.len()).unwrap() + 7;
        users.insert(id, UserFacts { tenant: tenant.into(), roles: vec![role] });
        let session = Uuid::now_v7();
        let facts = SessionFacts { user_id: Some(id) };
        self.sessions.lock().unwrap().insert(session, facts);
        (id, session)
    }

    /// How often it was asked so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn note(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Directory for FakeDirectory {
    async fn tenant(&self, id: &TenantId) -> Result<Option<TenantFacts>> {
        self.note();
        let known = self.tenants.lock().unwrap().get(id.as_str()).copied();
        let status = known.unwrap_or(Some(TenantStatus::Active));
        Ok(status.map(|status| TenantFacts {
            id: id.clone(),
            name: id.to_string(),
            status,
            plan: Plan::Basic,
            created_at: std::time::UNIX_EPOCH.into(),
            updated_at: std::time::UNIX_EPOCH.into(),
        }))
    }

    async fn org(&self, key: &OrgKey) -> Result<Option<OrgFacts>> {
        self.note();
        let known = self.orgs.lock().unwrap().get(&key.to_string()).copied();
        let facts = |not_ready| OrgFacts {
            key: key.clone(),
            database: format!("db__{}__{}", key.tenant, key.org),
            revision: 3,
            not_ready,
        };
        Ok(match known {
            Some(None) => None,
            Some(not_ready) => Some(facts(not_ready)),
            None => Some(facts(None)),
        })
    }

    async fn only_org(&self, _: &TenantId) -> Result<Option<OrgId>> {
        Ok(None)
    }

    async fn user(&self, id: i32) -> Result<Option<UserFacts>> {
        self.note();
        Ok(self.users.lock().unwrap().get(&id).cloned())
    }

    async fn session(&self, id: Uuid) -> Result<Option<SessionFacts>> {
        self.note();
        Ok(self.sessions.lock().unwrap().get(&id).cloned())
    }

    async fn api_key(&self, hash: &[u8; 32]) -> Result<Option<KeyFacts>> {
        self.note();
        Ok(self.api_keys.lock().unwrap().get(hash).cloned())
    }

    async fn has_owner(&self) -> Result<bool> {
        Ok(true)
    }

    async fn membership(&self, key: &OrgKey, user: i32) -> Result<Option<Vec<String>>> {
        self.note();
        let stranger = self.strangers.lock().unwrap().contains(&format!("{key}/{user}"));
        Ok((!stranger).then(|| vec!["support_agent".to_owned()]))
    }

    async fn record_impersonation(&self, access: Access) -> Result<()> {
        let tenant = caller::tenant()?;
        let tenant = if access.reads { format!("{tenant} reads") } else { tenant.to_string() };
        assert!(caller::principal().is_ok_and(|principal: Principal| principal.is_platform()));
        self.impersonations.lock().unwrap().push(tenant);
        Ok(())
    }
}
