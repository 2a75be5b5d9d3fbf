//! What S3 refused, and what it gave that is not what it was named to be.

use std::sync::{Arc, Mutex, PoisonError};

use rustic_core::{ErrorKind, RusticError};

use crate::error::Damage;

/// Why a file could not be had; shared by all who wait for the same request.
#[derive(Clone, Debug)]
pub(crate) enum Failed {
    /// S3 failed.
    Storage(Arc<yuantus_storage::Error>),
    /// What it gave, twice, is damaged.
    Damaged(Arc<Damage>),
}

impl From<yuantus_storage::Error> for Failed {
    fn from(error: yuantus_storage::Error) -> Self {
        Self::Storage(Arc::new(error))
    }
}

/// The first failure. `rustic_core` reports what followed from it, or nothing.
#[derive(Default)]
pub(super) struct Failure(Mutex<Option<Failed>>);

impl Failure {
    pub(super) fn record(&self, error: Failed) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(super) fn first(&self) -> Option<Failed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn none_yet(&self) -> Result<(), Failed> {
        self.first().map_or(Ok(()), Err)
    }
}

/// Why a call got no answer.
pub(super) enum Stop {
    Cancelled,
    Failed(Failed),
}

impl From<Stop> for Box<RusticError> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => RusticError::new(ErrorKind::Backend, "The work was cancelled."),
            Stop::Failed(Failed::Storage(error)) => {
                RusticError::with_source(ErrorKind::Backend, "S3 failed.", error)
            }
            Stop::Failed(Failed::Damaged(damage)) => {
                RusticError::with_source(ErrorKind::Backend, "A file is damaged.", damage)
            }
        }
    }
}
