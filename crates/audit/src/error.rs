//! Why the trail could not be worked on.

use std::time::Duration;

use crate::Broken;

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the trail could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The identity database failed.
    #[error(transparent)]
    Identity(#[from] yuantus_identity::Error),
    /// The bucket failed, where the newest checkpoint is kept besides.
    #[error(transparent)]
    Storage(#[from] yuantus_storage::Error),
    /// What the bucket holds of a checkpoint is none.
    #[error("object `{key}` in the bucket is no checkpoint of the audit trail")]
    UnreadableCopy {
        /// Its key.
        key: String,
    },
    /// The chain does not hold, so nothing of it is signed or deleted.
    #[error("the audit trail of `{tenant}` is broken at {}: {}", broken.seq, broken.what)]
    Broken {
        /// Whose chain.
        tenant: String,
        /// Where and how.
        broken: Broken,
    },
}

impl From<Error> for yuantus_domain::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Identity(error) => error.into(),
            Error::Storage(error) if error.is_transient() => Self::Unavailable {
                reason: "STORAGE_UNAVAILABLE",
                message: "the bucket, where checkpoints are kept besides, cannot be reached".into(),
                retry_after: Duration::from_secs(2),
            },
            Error::Storage(error) => Self::internal(error),
            Error::UnreadableCopy { .. } | Error::Broken { .. } => {
                Self::precondition("AUDIT_CHAIN_BROKEN", error.to_string())
            }
        }
    }
}
