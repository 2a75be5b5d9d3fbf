//! The control plane's mapping from errors to statuses, as small as tests
//! need it.

#![expect(clippy::disallowed_methods, reason = "stands for rpc/status.rs")]

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use yuantus_domain::Error;

pub fn status(error: Error) -> Status {
    let code = match &error {
        Error::InvalidArgument { .. } | Error::MissingContext { .. } => Code::InvalidArgument,
        Error::NotFound { .. } => Code::NotFound,
        Error::AlreadyExists { .. } | Error::IdempotencyKeyReused { .. } => Code::AlreadyExists,
        Error::FailedPrecondition { .. } => Code::FailedPrecondition,
        Error::Unauthenticated { .. } => Code::Unauthenticated,
        Error::PermissionDenied { .. } => Code::PermissionDenied,
        Error::ResourceExhausted { .. } | Error::RateLimited { .. } => Code::ResourceExhausted,
        Error::Unavailable { .. } => Code::Unavailable,
        Error::Conflict { .. } => Code::Aborted,
        Error::Internal(_) => Code::Internal,
    };
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason(), "yuantus.controlplane", HashMap::new());
    if let Error::InvalidArgument { field, rule } = &error {
        details.add_bad_request_violation(field, rule);
    }
    if let Error::Unavailable { retry_after, .. } = &error {
        details.set_retry_info(Some(*retry_after));
    }
    Status::with_error_details(code, error.to_string(), details)
}

/// A status as a careless handler would make it.
pub fn careless(message: &str) -> Status {
    Status::internal(message)
}
