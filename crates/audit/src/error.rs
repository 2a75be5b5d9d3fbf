//! Why the trail could not be worked on.

use crate::Broken;

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the trail could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The identity database failed.
    #[error(transparent)]
    Identity(#[from] yuantus_identity::Error),
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
            Error::Broken { .. } => Self::precondition("AUDIT_CHAIN_BROKEN", error.to_string()),
        }
    }
}
