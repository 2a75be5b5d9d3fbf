//! What can go wrong with credentials and sealed secrets.

use std::time::Duration;

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why credentials or a sealed secret could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no token secret to sign with.
    #[error("the token secret is empty")]
    EmptyTokenSecret,
    /// A token could not be signed.
    #[error("cannot sign a token")]
    SignToken {
        /// Why.
        source: jsonwebtoken::errors::Error,
    },
    /// A token does not hold: not ours, altered, or not well-formed.
    #[error("the token is not valid")]
    InvalidToken {
        /// Why.
        source: jsonwebtoken::errors::Error,
    },
    /// A token held once.
    #[error("the token has expired")]
    ExpiredToken,
    /// A token was issued later than it is now.
    #[error("the token was issued at {issued_at}, and it is {now} (seconds since 1970)")]
    FutureToken {
        /// What the clock said by which it was issued, in seconds since 1970.
        issued_at: u64,
        /// What the identity database's clock says.
        now: u64,
    },
    /// A stored hash is not one of ours, or hashing failed.
    #[error("cannot hash or compare a password")]
    HashPassword {
        /// Why.
        source: argon2::password_hash::Error,
    },
    /// As many hashes wait to be computed as may.
    #[error("too many passwords wait to be checked")]
    TooManyHashes,
    /// Somebody tried to log in too often.
    #[error("too many attempts to log in")]
    TooManyAttempts {
        /// When the next one is taken.
        retry_after: Duration,
    },
    /// The parameters of the hash are out of range.
    #[error("the password hash's parameters are invalid")]
    HashParameters {
        /// Why.
        source: argon2::Error,
    },
    /// Hashing was cut off: the process is stopping.
    #[error("hashing a password was cut off")]
    HashInterrupted {
        /// Why.
        source: tokio::task::JoinError,
    },
    /// A key is not 32 bytes in base64.
    #[error("a key is not 32 bytes in base64")]
    InvalidKey,
    /// The operating system gave no random bytes.
    #[error("the system's random generator failed")]
    Random,
    /// A secret could not be sealed.
    #[error("cannot seal secret `{aad}`")]
    Seal {
        /// What it is, without the secret.
        aad: String,
    },
    /// A sealed secret was sealed with a key that is not at hand.
    #[error("secret `{aad}` is sealed with key `{sealed_with}`, which is not among {keys}")]
    OtherKey {
        /// What it is.
        aad: String,
        /// The key it needs.
        sealed_with: String,
        /// The keys there are.
        keys: String,
    },
    /// A sealed secret was altered, moved, or is not one.
    #[error("sealed secret `{aad}` does not open")]
    Open {
        /// What it should be.
        aad: String,
    },
}

impl From<Error> for yuantus_domain::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidToken { .. } => {
                Self::Unauthenticated { message: "the token is not valid" }
            }
            Error::TooManyHashes => Self::Unavailable {
                reason: "LOGINS_BUSY",
                message: "too many people are logging in; try again in a moment".into(),
                retry_after: Duration::from_secs(1),
            },
            Error::TooManyAttempts { retry_after } => Self::RateLimited {
                reason: "TOO_MANY_LOGINS",
                message: "too many attempts to log in; try again later".into(),
                retry_after,
            },
            Error::ExpiredToken => Self::Unauthenticated { message: "the token has expired" },
            Error::FutureToken { .. } => Self::Unauthenticated {
                message: "the token was issued in the future: the clock by which it was issued, \
                          or the identity database's, is wrong or was set",
            },
            Error::EmptyTokenSecret
            | Error::SignToken { .. }
            | Error::HashPassword { .. }
            | Error::HashParameters { .. }
            | Error::HashInterrupted { .. }
            | Error::InvalidKey
            | Error::Random
            | Error::Seal { .. }
            | Error::OtherKey { .. }
            | Error::Open { .. } => Self::internal(error),
        }
    }
}
