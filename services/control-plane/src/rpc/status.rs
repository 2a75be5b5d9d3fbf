//! The one mapping from the domain's error to a gRPC status. REST answers are
//! made from the same status.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use yuantus_domain::Error;
use yuantus_operations::step::chain;

/// The domain of our `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "yuantus.controlplane";

/// A handler's answer.
pub type Answer<T> = Result<tonic::Response<T>, Status>;

/// What the client hears of an error. The whole story is logged here, once.
pub fn status(error: Error) -> Status {
    let (code, level_error) = match &error {
        Error::InvalidArgument { .. } | Error::MissingContext { .. } => {
            (Code::InvalidArgument, false)
        }
        Error::NotFound { .. } => (Code::NotFound, false),
        Error::AlreadyExists { .. } | Error::IdempotencyKeyReused { .. } => {
            (Code::AlreadyExists, false)
        }
        Error::FailedPrecondition { .. } => (Code::FailedPrecondition, false),
        Error::Unauthenticated { .. } => (Code::Unauthenticated, false),
        Error::PermissionDenied { .. } => (Code::PermissionDenied, false),
        Error::ResourceExhausted { .. } | Error::RateLimited { .. } => {
            (Code::ResourceExhausted, false)
        }
        Error::Unavailable { .. } => (Code::Unavailable, false),
        Error::Conflict { .. } => (Code::Aborted, false),
        Error::Internal(_) => (Code::Internal, true),
    };
    let text = chain(&error);
    if level_error {
        tracing::error!(error = %text, "request failed");
    } else {
        tracing::debug!(error = %text, "request refused");
    }
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason(), DOMAIN, HashMap::new());
    match &error {
        Error::InvalidArgument { field, rule } => {
            details.add_bad_request_violation(field, rule);
        }
        Error::MissingContext { field } => {
            details.add_bad_request_violation(*field, "is required as context");
        }
        Error::Unavailable { retry_after, .. } | Error::RateLimited { retry_after, .. } => {
            details.set_retry_info(Some(*retry_after));
        }
        _ => {}
    }
    Status::with_error_details(code, error.to_string(), details)
}
