//! The time that tokens and keys are compared with: the identity database's,
//! as it was last asked for, counted on from there by a clock that nobody sets.
//!
//! Invariant: once it was asked, the host's own clock decides nothing. Until
//! then there is no other.

use std::{
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::get_current_timestamp;

/// What the identity database's clock said, since 1970, and when.
static KNOWN: RwLock<Option<(Duration, Instant)>> = RwLock::new(None);

/// Takes it from the identity database, which said `database` (since 1970)
/// at `at`.
pub fn set(database: Duration, at: Instant) {
    *KNOWN.write().unwrap_or_else(PoisonError::into_inner) = Some((database, at));
}

/// Whether the identity database was asked.
pub fn is_known() -> bool {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    match *KNOWN.read().unwrap_or_else(PoisonError::into_inner) {
        Some((database, at)) => (database + at.elapsed()).as_secs(),
        None => host(),
    }
}

/// Seconds since 1970 as the host's own clock has them.
pub fn host() -> u64 {
    get_current_timestamp()
}
