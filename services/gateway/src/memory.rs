//! What the directory answered, remembered until it is no longer true.
//!
//! Invariants: only what lets a request pass is remembered, so that what
//! becomes good is good at once. Nothing is remembered while changes may be
//! missed. An answer that was read before a change and arrives after it is
//! not kept: both look at the count of changes, and who comes second removes
//! it.

use std::{
    fmt,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use moka::sync::Cache;
use uuid::Uuid;
use yuantus_auth::tenancy::{KeyFacts, OrgFacts, SessionFacts, TenantFacts, UserFacts};
use yuantus_domain::{Change, OrgKey, Result, TenantId};

use crate::directory::Directory;

/// How many of each kind are remembered.
const ROOM: u64 = 20_000;
/// How long at most, should a change ever not be told.
const AT_MOST: Duration = Duration::from_secs(10);

/// A user in an org.
type Member = (OrgKey, i32);

/// Remembers what a directory answered. Cheap to clone.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

struct Inner {
    directory: Arc<dyn Directory>,
    /// Whether every change is told.
    told: AtomicBool,
    /// How many changes there were.
    changes: AtomicU64,
    tenants: Cache<TenantId, Arc<TenantFacts>>,
    orgs: Cache<OrgKey, Arc<OrgFacts>>,
    users: Cache<i32, Arc<UserFacts>>,
    sessions: Cache<Uuid, Arc<SessionFacts>>,
    api_keys: Cache<[u8; 32], Arc<KeyFacts>>,
    members: Cache<Member, Option<Arc<Vec<String>>>>,
}

fn cache<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>() -> Cache<K, V> {
    Cache::builder().max_capacity(ROOM).time_to_live(AT_MOST).build()
}

impl Memory {
    /// Remembers nothing yet, and nothing until it hears
    /// [`Change::Listening`].
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Self(Arc::new(Inner {
            directory,
            told: AtomicBool::new(false),
            changes: AtomicU64::new(0),
            tenants: cache(),
            orgs: cache(),
            users: cache(),
            sessions: cache(),
            api_keys: cache(),
            members: cache(),
        }))
    }

    /// Forgets what changed.
    pub fn hear(&self, change: Change) {
        let Inner { told, changes, tenants, orgs, users, sessions, api_keys, members, .. } =
            &*self.0;
        let listening = change == Change::Listening;
        if change == Change::Lost {
            told.store(false, SeqCst);
        }
        changes.fetch_add(1, SeqCst);
        match change {
            Change::Listening | Change::Lost | Change::Unknown => {
                tenants.invalidate_all();
                orgs.invalidate_all();
                users.invalidate_all();
                sessions.invalidate_all();
                api_keys.invalidate_all();
                members.invalidate_all();
            }
            Change::Tenant(id) => tenants.invalidate(&id),
            Change::Org(key) => orgs.invalidate(&key),
            Change::User(id) => users.invalidate(&id),
            Change::Session(id) => sessions.invalidate(&id),
            // They are remembered by their hashes, and this is rare.
            Change::ApiKey(_) => api_keys.invalidate_all(),
            Change::Member(key, user) => members.invalidate(&(key, user)),
        }
        if listening {
            told.store(true, SeqCst);
        }
    }

    /// The directory itself, for what is not remembered.
    pub fn directory(&self) -> &dyn Directory {
        &*self.0.directory
    }

    /// The tenant of this id.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<Arc<TenantFacts>>> {
        let load = async || Ok(self.0.directory.tenant(id).await?.map(Arc::new));
        self.recall(&self.0.tenants, id, load, |tenant| tenant.check().is_ok()).await
    }

    /// The org of this key, with its database.
    pub async fn org(&self, key: &OrgKey) -> Result<Option<Arc<OrgFacts>>> {
        let load = async || Ok(self.0.directory.org(key).await?.map(Arc::new));
        self.recall(&self.0.orgs, key, load, |org| org.not_ready.is_none()).await
    }

    /// The user of this id; `None` for one who is gone or not active.
    pub async fn user(&self, id: i32) -> Result<Option<Arc<UserFacts>>> {
        let load = async || Ok(self.0.directory.user(id).await?.map(Arc::new));
        self.recall(&self.0.users, &id, load, |_| true).await
    }

    /// The session of this id; `None` for one that has ended.
    pub async fn session(&self, id: Uuid) -> Result<Option<Arc<SessionFacts>>> {
        let load = async || Ok(self.0.directory.session(id).await?.map(Arc::new));
        self.recall(&self.0.sessions, &id, load, |_| true).await
    }

    /// The key of this hash; `None` for one that is unknown, or over.
    pub async fn api_key(&self, hash: &[u8; 32]) -> Result<Option<Arc<KeyFacts>>> {
        let load = async || Ok(self.0.directory.api_key(hash).await?.map(Arc::new));
        let key = self.recall(&self.0.api_keys, hash, load, |_| true).await?;
        Ok(key.filter(|key| key.is_good()))
    }

    /// What a user is in an org; `None` for one who is no member of it.
    pub async fn membership(&self, key: &OrgKey, user: i32) -> Result<Option<Arc<Vec<String>>>> {
        self.membership_if(key, user, Option::is_some).await
    }

    /// As [`Self::membership`], of one who comes in without being a member:
    /// that there is no membership is remembered too.
    pub async fn optional_membership(
        &self,
        key: &OrgKey,
        user: i32,
    ) -> Result<Option<Arc<Vec<String>>>> {
        self.membership_if(key, user, |_| true).await
    }

    async fn membership_if(
        &self,
        key: &OrgKey,
        user: i32,
        is_good: impl Fn(&Option<Arc<Vec<String>>>) -> bool,
    ) -> Result<Option<Arc<Vec<String>>>> {
        let load = async || {
            let member = self.0.directory.membership(key, user).await?;
            Ok(Some(member.map(Arc::new)))
        };
        let known = self.recall(&self.0.members, &(key.clone(), user), load, is_good).await?;
        Ok(known.flatten())
    }

    async fn recall<K, V>(
        &self,
        kept: &Cache<K, V>,
        key: &K,
        load: impl AsyncFnOnce() -> Result<Option<V>>,
        is_good: impl Fn(&V) -> bool,
    ) -> Result<Option<V>>
    where
        K: Clone + Hash + Eq + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let told = self.0.told.load(SeqCst);
        if told && let Some(known) = kept.get(key) {
            return Ok(Some(known));
        }
        let before = self.0.changes.load(SeqCst);
        let loaded = load().await?;
        if let Some(good) = loaded.as_ref().filter(|loaded| told && is_good(loaded)) {
            kept.insert(key.clone(), good.clone());
            if self.0.changes.load(SeqCst) != before {
                kept.invalidate(key);
            }
        }
        Ok(loaded)
    }
}
