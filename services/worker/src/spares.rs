//! How the steps that take spare databases tell the loop that makes them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

/// How long no org takes a spare before new ones are made.
const QUIET: Duration = Duration::from_millis(250);

/// How many spares were taken since the loop last made some.
#[derive(Debug, Default)]
pub struct Spares {
    taken: AtomicUsize,
    changed: Notify,
}

impl Spares {
    /// A spare was taken.
    pub(crate) fn took_one(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Returns when new ones are to be made. Making one keeps a core and the
    /// disk busy, so as long as half of the `target` are left it waits for a
    /// moment in which nobody is waiting for an org.
    pub(crate) async fn wanted(&self, target: usize) {
        while self.taken.load(Ordering::Relaxed) == 0 {
            self.changed.notified().await;
        }
        while self.taken.load(Ordering::Relaxed) * 2 < target
            && timeout(QUIET, self.changed.notified()).await.is_ok()
        {}
    }

    /// From now on what is taken counts anew: the spares are about to be looked at.
    pub(crate) fn look(&self) {
        self.taken.store(0, Ordering::Relaxed);
    }
}
