//! The connections to all orgs' databases.
//!
//! Invariant: a slot is one connection of the limit of all, from before it is
//! made until after it is closed. Whoever waits for a slot has its turn at its
//! own database already, so nobody holds a slot while waiting for a turn.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::task::TaskTracker;
use yuantus_domain::{OrgKey, TenantId};

use crate::{
    Error, Login, Result, Session, TenantServer,
    error::sqlstate,
    hand::{Idle, Place, State},
    session::Open,
};

/// How long a connection may take to say that it lives.
const PING: Duration = Duration::from_secs(2);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long saying goodbye may take.
const CLOSE: Duration = Duration::from_secs(1);
/// Between two tries at a database that is being replaced.
const AGAIN: Duration = Duration::from_millis(50);

/// How many connections there may be, and how long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections to all databases.
    pub total: usize,
    /// Connections to one database.
    pub per_database: usize,
    /// How long one may be idle before it is closed.
    pub idle: Duration,
    /// How long to wait for one.
    pub wait: Duration,
    /// How long a statement may take.
    pub statement: Duration,
}

pub(crate) struct Shared {
    pub(crate) server: TenantServer,
    pub(crate) limits: Limits,
    pub(crate) state: Mutex<State>,
    slots: Arc<Semaphore>,
    closing: TaskTracker,
}

/// The connections to all orgs' databases. Clones share them.
#[derive(Clone)]
pub struct Connections(pub(crate) Arc<Shared>);

impl Connections {
    /// None yet.
    pub fn new(server: TenantServer, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            server,
            limits,
            state: Mutex::default(),
            slots: Arc::new(Semaphore::new(limits.total)),
            closing: TaskTracker::new(),
        }))
    }

    /// A connection to a database, for one use: one that is idle, or a new one
    /// where there may be one more, or the next one that somebody gives back.
    pub async fn session(&self, login: &Login) -> Result<Session> {
        let shared = &self.0;
        let waited = shared.limits.wait;
        let deadline = Instant::now() + waited;
        let place = Place::take(shared, login);
        let turn = Arc::clone(&place.gate).acquire_owned();
        let Ok(Ok(turn)) = timeout_at(deadline, turn).await else {
            return Err(Error::DatabaseBusy { database: login.database.clone(), waited });
        };
        while let Some(Idle { mut connection, slot, .. }) = place.idle() {
            if let Ok(Ok(())) = timeout(PING, connection.ping()).await {
                return Ok(Session::new(Open { connection, slot, turn, place }, &login.database));
            }
            tracing::debug!(database = login.database, "an idle connection had ended");
        }
        let slot = shared.slot(deadline).await.ok_or(Error::Full { waited })?;
        let connection = shared.connect(login).await?;
        Ok(Session::new(Open { connection, slot, turn, place }, &login.database))
    }

    /// Gives up the connections to an org's database; those in use are closed
    /// once they are given back.
    pub fn forget(&self, key: &OrgKey) {
        let mut state = self.0.state();
        let idle = state.hands.get_mut(key).map(|hand| hand.renew()).unwrap_or_default();
        state.tidy(key);
        drop(state);
        self.0.close_all(idle);
    }

    /// Gives up the connections to all databases of a tenant.
    pub fn forget_tenant(&self, tenant: &TenantId) {
        let of_tenant = |key: &&OrgKey| key.tenant == *tenant;
        let keys: Vec<OrgKey> = self.0.state().hands.keys().filter(of_tenant).cloned().collect();
        keys.iter().for_each(|key| self.forget(key));
    }

    /// How many connections there are, those being made or closed included.
    pub fn open(&self) -> usize {
        self.0.limits.total - self.0.slots.available_permits()
    }

    /// Keeps nothing any more, and waits until all is closed that is not in
    /// use.
    pub(crate) async fn close(&self) {
        let idle = {
            let mut state = self.0.state();
            state.closed = true;
            state.take_older(Instant::now())
        };
        self.0.close_all(idle);
        self.0.closing.close();
        self.0.closing.wait().await;
    }
}

impl Shared {
    /// A slot: a free one, that of the connection that is idle longest, or
    /// the next one that is given up. `None` when the time is over.
    async fn slot(&self, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let slots = || Arc::clone(&self.slots);
        if let Ok(slot) = slots().try_acquire_owned() {
            return Some(slot);
        }
        // Whoever gives back sees that somebody waits, or was seen idle here.
        let (_waiting, oldest) = {
            let mut state = self.state();
            state.waiting += 1;
            (Waiting(self), state.take_oldest())
        };
        match oldest {
            Some(Idle { connection, slot, .. }) => {
                close(connection).await;
                Some(slot)
            }
            None => timeout_at(deadline, slots().acquire_owned()).await.ok()?.ok(),
        }
    }

    /// A new connection. While its database is being replaced there is none
    /// for a moment.
    async fn connect(&self, login: &Login) -> Result<PgConnection> {
        let options = self.server.options(login);
        let limit = CONNECT.max(self.limits.wait);
        let deadline = Instant::now() + limit;
        loop {
            let database = login.database.clone();
            match timeout_at(deadline, PgConnection::connect_with(&options)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(source)) if is_being_replaced(&source) && Instant::now() < deadline => {
                    sleep(AGAIN).await;
                }
                Ok(Err(source)) => return Err(Error::Connect { database, source }),
                Err(_) => return Err(Error::Timeout { query: "connect", database, limit }),
            }
        }
    }

    /// Takes a connection back from its use. One that is `clean` is kept for
    /// the next, unless somebody waits for its slot.
    pub(crate) fn give_back(&self, open: Open, clean: bool) {
        if !clean {
            return self.close_used(open);
        }
        let mut state = self.state();
        let keeps = state.waiting == 0 && !state.closed;
        let hand = state.hands.get_mut(&open.place.key);
        match hand.filter(|hand| keeps && hand.generation == open.place.generation) {
            None => {
                drop(state);
                self.close_used(open);
            }
            Some(hand) => {
                let Open { connection, slot, turn, place } = open;
                hand.idle.push(Idle { connection, slot, since: Instant::now() });
                drop(state);
                drop((turn, place));
            }
        }
    }

    /// Closes a connection once its last statement has ended; till then it has
    /// its slot and its turn.
    fn close_used(&self, open: Open) {
        let Open { mut connection, slot, turn, place } = open;
        let limit = self.limits.statement + PING;
        self.spawn(async move {
            if let Ok(Ok(())) = timeout(limit, connection.ping()).await {
                close(connection).await;
            }
            drop((slot, turn, place));
        });
    }

    pub(crate) fn close_all(&self, idle: Vec<Idle>) {
        for Idle { connection, slot, .. } in idle {
            self.spawn(async move {
                close(connection).await;
                drop(slot);
            });
        }
    }

    /// Without a runtime the process is ending, and its sockets with it.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.closing.spawn_on(task, &runtime);
        }
    }
}

/// Counts somebody who waits for a slot.
struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

async fn close(connection: PgConnection) {
    // Whether the server heard of it makes no difference to us.
    let _ = timeout(CLOSE, connection.close()).await;
}

/// Gone, in use by a rename, or cut off by one.
fn is_being_replaced(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|code| matches!(&*code, "3D000" | "55006" | "57P01"))
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connections({} of {} to {:?})", self.open(), self.0.limits.total, self.0.server)
    }
}
