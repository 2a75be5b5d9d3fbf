//! Why the front door cannot open.

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why serving cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The contract cannot be described to gRPC clients.
    #[error("cannot serve gRPC reflection")]
    Reflection {
        /// Why.
        source: tonic_reflection::server::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] crate::tls::Error),
    /// The listener has no address.
    #[error("cannot read the address of the listener")]
    ListenerAddress {
        /// Why.
        source: std::io::Error,
    },
}
