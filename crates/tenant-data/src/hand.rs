//! The connections to one database: those that are idle, and how many more
//! there may be.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::PgConnection;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use yuantus_domain::OrgKey;

use crate::{Login, connections::Shared};

/// A connection that nobody uses. It counts as long as it is open.
pub(crate) struct Idle {
    pub(crate) connection: PgConnection,
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) since: Instant,
}

/// The connections to one database.
pub(crate) struct Hand {
    /// Database, role and version of the password.
    login: (String, String, i32),
    /// Changes when connections of before must not be used again.
    pub(crate) generation: u64,
    /// One permit for each connection that may be in use.
    gate: Arc<Semaphore>,
    /// Who uses one or waits for one.
    users: usize,
    pub(crate) idle: Vec<Idle>,
}

impl Hand {
    fn new(login: &Login, limit: usize) -> Self {
        Self {
            login: identity(login),
            generation: 0,
            gate: Arc::new(Semaphore::new(limit)),
            users: 0,
            idle: Vec::new(),
        }
    }

    /// Gives up the connections there are, in use or not; answers those that
    /// are not.
    pub(crate) fn renew(&mut self) -> Vec<Idle> {
        self.generation += 1;
        std::mem::take(&mut self.idle)
    }
}

fn identity(login: &Login) -> (String, String, i32) {
    (login.database.clone(), login.role.clone(), login.password_version)
}

/// A right to use or wait for a connection to one database. While there is
/// one, the database's hand stays.
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: OrgKey,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) generation: u64,
}

impl Place {
    /// Connections of another login to this database are given up.
    pub(crate) fn take(shared: &Arc<Shared>, login: &Login) -> Self {
        let mut state = shared.state();
        let limit = shared.limits.per_database;
        let hand = state.hands.entry(login.key.clone()).or_insert_with(|| Hand::new(login, limit));
        let mut outdated = Vec::new();
        if hand.login != identity(login) {
            hand.login = identity(login);
            outdated = hand.renew();
        }
        hand.users += 1;
        let (gate, generation) = (Arc::clone(&hand.gate), hand.generation);
        drop(state);
        shared.close_all(outdated);
        Self { shared: Arc::clone(shared), key: login.key.clone(), gate, generation }
    }

    /// The connection that was used last.
    pub(crate) fn idle(&self) -> Option<Idle> {
        let mut state = self.shared.state();
        let hand = state.hands.get_mut(&self.key)?;
        if hand.generation == self.generation { hand.idle.pop() } else { None }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(hand) = state.hands.get_mut(&self.key) {
            hand.users -= 1;
        }
        state.tidy(&self.key);
    }
}

/// All hands.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) hands: std::collections::HashMap<OrgKey, Hand>,
    /// How many wait for a connection of any database to end.
    pub(crate) waiting: usize,
    /// Nothing is kept any more.
    pub(crate) closed: bool,
}

impl State {
    /// Forgets a database that nobody uses and that has no connection.
    pub(crate) fn tidy(&mut self, key: &OrgKey) {
        if self.hands.get(key).is_some_and(|hand| hand.users == 0 && hand.idle.is_empty()) {
            self.hands.remove(key);
        }
    }

    /// Takes away the connection that is idle longest.
    pub(crate) fn take_oldest(&mut self) -> Option<Idle> {
        let oldest = |(_, hand): &(&OrgKey, &Hand)| hand.idle.first().map(|idle| idle.since);
        let with_idle = self.hands.iter().filter(|(_, hand)| !hand.idle.is_empty());
        let key = with_idle.min_by_key(oldest)?.0.clone();
        let taken = self.hands.get_mut(&key).map(|hand| hand.idle.remove(0));
        self.tidy(&key);
        taken
    }

    /// Takes away the connections that have been idle since `before` or longer.
    pub(crate) fn take_older(&mut self, before: Instant) -> Vec<Idle> {
        let mut taken = Vec::new();
        for hand in self.hands.values_mut() {
            taken.extend(hand.idle.extract_if(.., |idle| idle.since <= before));
        }
        self.hands.retain(|_, hand| hand.users > 0 || !hand.idle.is_empty());
        taken
    }

    /// Since when the connection has been idle that is idle longest.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.hands.values().filter_map(|hand| hand.idle.first()).map(|idle| idle.since).min()
    }
}

impl Shared {
    /// The lock is held for a moment, never across an await; what a panic left
    /// behind it is still whole.
    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        let state: &Mutex<State> = &self.state;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
