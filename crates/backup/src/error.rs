//! What can go wrong with a repository.

use std::{error::Error as _, fmt, sync::Arc};

use rustic_core::RusticError;

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on a repository that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// S3 failed.
    #[error("{operation} needs S3, which failed")]
    Storage {
        /// What was being done.
        operation: &'static str,
        /// The first error there was.
        source: Arc<yuantus_storage::Error>,
    },
    /// The reader that delivers the dump failed, so nothing was kept.
    #[error("reading the dump {name:?} to be stored")]
    Source {
        /// Name of the dump.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// The repository's content is not as it should be, or cannot be handled.
    #[error("{operation} in the repository {prefix:?}")]
    Repository {
        /// What was being done.
        operation: &'static str,
        /// The repository's prefix in the bucket.
        prefix: String,
        /// Why.
        source: RusticFailure,
    },
    /// A file of the repository, or something in it, was read and is not what it was named to be.
    #[error("{operation} in the repository {prefix:?}")]
    Damaged {
        /// What was being done.
        operation: &'static str,
        /// The repository's prefix in the bucket.
        prefix: String,
        /// What is damaged, and how.
        source: Arc<Damage>,
    },
    /// There is nothing at all where the repository should be.
    #[error("there is nothing at {prefix:?} in bucket {bucket:?}: is it the right bucket?")]
    Absent {
        /// The repository's prefix in the bucket.
        prefix: String,
        /// The bucket.
        bucket: String,
    },
    /// The repository was made with another key.
    #[error("the key does not open the repository {prefix:?}")]
    WrongKey {
        /// The repository's prefix in the bucket.
        prefix: String,
    },
    /// The snapshot is not in the repository.
    #[error("there is no snapshot {snapshot_id} in the repository {prefix:?}")]
    NoSnapshot {
        /// Id of the snapshot.
        snapshot_id: String,
        /// The repository's prefix in the bucket.
        prefix: String,
    },
    /// A stored key cannot be read.
    #[error("reading a repository key: {reason}")]
    InvalidKey {
        /// Why, without the key.
        reason: &'static str,
    },
    /// A document of ours in the repository cannot be read or written.
    #[error("encoding or decoding {document}")]
    Document {
        /// Which.
        document: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The dump in the repository is not the one the manifest describes.
    #[error("the dump of snapshot {snapshot_id} has {what} {found}, its manifest says {expected}")]
    Mismatch {
        /// Id of the snapshot.
        snapshot_id: String,
        /// What differs.
        what: &'static str,
        /// What was read.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// Something does not fit restic's format.
    #[error("a manifest or tree is too large for restic's format")]
    TooLarge,
    /// Nobody waits for the result any more.
    #[error("{operation} was cancelled")]
    Cancelled {
        /// What was being done.
        operation: &'static str,
    },
    /// A thread died.
    #[error("{operation} ended abnormally")]
    Panicked {
        /// What was being done.
        operation: &'static str,
    },
}

impl Error {
    pub(crate) fn storage(operation: &'static str) -> impl Fn(yuantus_storage::Error) -> Self {
        move |source| Self::Storage { operation, source: Arc::new(source) }
    }

    /// Whether the writer has lost the right to write.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if source.is_fenced())
    }

    /// Whether the backup is damaged: what was read, twice, is wrong or missing from a repository
    /// that is there. Everything else says nothing about the backup.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. }
            | Self::Repository { .. }
            | Self::NoSnapshot { .. }
            | Self::Document { .. }
            | Self::Mismatch { .. } => true,
            Self::Storage { source, .. } => source.is_not_found(),
            Self::Source { .. }
            | Self::Absent { .. }
            | Self::WrongKey { .. }
            | Self::InvalidKey { .. }
            | Self::TooLarge
            | Self::Cancelled { .. }
            | Self::Panicked { .. } => false,
        }
    }

    /// S3's error, where it is S3 that failed.
    pub fn storage_error(&self) -> Option<&yuantus_storage::Error> {
        match self {
            Self::Storage { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether the same call may succeed later, unchanged.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Storage { source, .. } => source.is_transient(),
            Self::Source { .. } => true,
            _ => false,
        }
    }
}

/// A file of a repository, or something in it, that is not what its name says: it is read again
/// before that is believed.
#[derive(Debug, thiserror::Error)]
#[error("{subject} {what}")]
pub struct Damage {
    /// What is damaged, such as a key in the bucket.
    pub subject: String,
    /// How it is damaged.
    pub what: String,
}

/// An error of `rustic_core` on one line; its own `Display` is a page with advice for the users of
/// another program.
#[derive(Debug)]
pub struct RusticFailure(String);

impl RusticFailure {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<&RusticError> for RusticFailure {
    fn from(error: &RusticError) -> Self {
        let mut messages = vec![message(error)];
        let mut next = error.source();
        while let Some(cause) = next {
            // A cause of its own kind comes in a box, which is an error too.
            let rustic = cause.downcast_ref::<Box<RusticError>>();
            messages.push(rustic.map_or_else(|| cause.to_string(), |rustic| message(rustic)));
            next = rustic.map_or_else(|| cause.source(), |rustic| rustic.source());
        }
        Self(messages.join(": "))
    }
}

/// The paragraph that says what happened, of several.
fn message(error: &RusticError) -> String {
    let page = error.to_string();
    let text = page.split_once("Message:\n").map_or(page.as_str(), |(_, rest)| rest);
    let end = text.find("\n\n").unwrap_or(text.len());
    text[..end].trim().replace('\n', " ")
}

impl fmt::Display for RusticFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RusticFailure {}
