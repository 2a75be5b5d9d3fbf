//! A few sessions of the maintenance database kept between uses: opening one
//! costs more than most of what is done with it.
//!
//! Invariant: an idle session carries no lock, no transaction and no lane's
//! name. One that the server or a firewall may have dropped is not used.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::session::Session;

const MOST: usize = 8;
const FRESH: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
pub(crate) struct Idle(Arc<Mutex<Vec<(Session, Instant)>>>);

impl Idle {
    /// The session used last, if any is fresh; stale ones are closed.
    pub(crate) fn take(&self) -> Option<Session> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|(_, since)| since.elapsed() < FRESH);
        sessions.pop().map(|(session, _)| session)
    }

    /// Keeps a session for the next user, unless it is unclean or there are
    /// enough.
    pub(crate) fn keep(&self, session: Session) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if session.is_clean() && sessions.len() < MOST {
            sessions.push((session, Instant::now()));
        }
    }

    /// Forgets all of them, when one turned out to be dead.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
