//! What S3 refused.

use std::sync::{Arc, Mutex, PoisonError};

use rustic_core::{ErrorKind, RusticError};

/// Shared by all who wait for the same request.
pub(crate) type Failed = Arc<yuantus_storage::Error>;

/// The first thing S3 refused. `rustic_core` reports what followed from it, or nothing.
#[derive(Default)]
pub(super) struct Failure(Mutex<Option<Failed>>);

impl Failure {
    pub(super) fn record(&self, error: Failed) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(super) fn first(&self) -> Option<Failed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
            Stop::Failed(error) => {
                RusticError::with_source(ErrorKind::Backend, "S3 failed.", error)
            }
        }
    }
}
