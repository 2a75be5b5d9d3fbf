//! Failures of the engine itself; those of steps are [`crate::StepError`].

/// What the engine's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The engine could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The identity database failed.
    #[error(transparent)]
    Identity(#[from] yuantus_identity::Error),
    /// A lane holds as many operations as it may.
    #[error("lane {lane} already holds {depth} operations")]
    LaneFull {
        /// The lane.
        lane: String,
        /// How many it may hold.
        depth: u64,
    },
    /// The key was used with another request.
    #[error("idempotency key `{key}` was used with another request")]
    KeyReused {
        /// The client's key.
        key: String,
    },
    /// A worker of this node id is running.
    #[error("a worker with node id `{node}` is already running")]
    NodeInUse {
        /// The node id.
        node: String,
    },
}

impl From<Error> for yuantus_domain::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Identity(error) => error.into(),
            Error::LaneFull { .. } => {
                Self::ResourceExhausted { reason: "LANE_FULL", message: error.to_string() }
            }
            Error::KeyReused { key } => Self::IdempotencyKeyReused { key },
            Error::NodeInUse { .. } => Self::internal(error),
        }
    }
}
