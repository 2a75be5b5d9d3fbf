//! The one error that use cases return. Each variant is one outcome a client
//! can act upon; the gRPC status and the HTTP status follow from it.

use std::time::Duration;

/// What a use case returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field breaks a rule.
    #[error("{field} {rule}")]
    InvalidArgument {
        /// The field as the client named it.
        field: String,
        /// What it must be, as the rest of a sentence.
        rule: String,
    },
    /// The request is about a tenant or org, and nothing says which.
    #[error("TENANCY_MODE=db-per-tenant-org requires {field} context")]
    MissingContext {
        /// `tenant_id` or `org_id`.
        field: &'static str,
    },
    /// Nothing of that name, or the caller may not know of it.
    #[error("{kind} `{id}` not found")]
    NotFound {
        /// The noun.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// Something of that name is there already.
    #[error("{kind} `{id}` already exists")]
    AlreadyExists {
        /// The noun.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The idempotency key was used with another request.
    #[error("request_id `{key}` was used with another request")]
    IdempotencyKeyReused {
        /// The key.
        key: String,
    },
    /// The thing is not in a state that allows this.
    #[error("{message}")]
    FailedPrecondition {
        /// Stable, upper-case.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// No credentials, or none that hold.
    #[error("{message}")]
    Unauthenticated {
        /// For people.
        message: &'static str,
    },
    /// The caller may not do this.
    #[error("{message}")]
    PermissionDenied {
        /// Stable, upper-case.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// A limit is reached.
    #[error("{message}")]
    ResourceExhausted {
        /// Stable, upper-case.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// Too often; the same request may work later.
    #[error("{message}")]
    RateLimited {
        /// Stable, upper-case.
        reason: &'static str,
        /// For people.
        message: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Not now; the same request may work later.
    #[error("{message}")]
    Unavailable {
        /// Stable, upper-case.
        reason: &'static str,
        /// For people.
        message: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Somebody else changed it in between; read again and retry.
    #[error("{kind} `{id}` was changed by somebody else")]
    Conflict {
        /// The noun.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// Not our client's business: logged, never shown.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A field that breaks a rule; `rule` reads on from the field's name.
    pub fn invalid(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::InvalidArgument { field: field.into(), rule: rule.into() }
    }

    /// A missing thing.
    pub fn not_found(kind: &'static str, id: impl ToString) -> Self {
        Self::NotFound { kind, id: id.to_string() }
    }

    /// A thing that is there already.
    pub fn exists(kind: &'static str, id: impl ToString) -> Self {
        Self::AlreadyExists { kind, id: id.to_string() }
    }

    /// A state that does not allow the request.
    pub fn precondition(reason: &'static str, message: impl Into<String>) -> Self {
        Self::FailedPrecondition { reason, message: message.into() }
    }

    /// A caller without the right.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::PermissionDenied { reason: "PERMISSION_DENIED", message: message.into() }
    }

    /// A failure that is ours.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// The stable, upper-case word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidArgument { .. } => "INVALID_ARGUMENT",
            Self::MissingContext { .. } => "MISSING_CONTEXT",
            Self::NotFound { .. } => "NOT_FOUND",
            Self::AlreadyExists { .. } => "ALREADY_EXISTS",
            Self::IdempotencyKeyReused { .. } => "IDEMPOTENCY_KEY_REUSED",
            Self::FailedPrecondition { reason, .. }
            | Self::PermissionDenied { reason, .. }
            | Self::ResourceExhausted { reason, .. }
            | Self::RateLimited { reason, .. }
            | Self::Unavailable { reason, .. } => reason,
            Self::Unauthenticated { .. } => "UNAUTHENTICATED",
            Self::Conflict { .. } => "CONFLICT",
            Self::Internal(_) => "INTERNAL",
        }
    }
}
