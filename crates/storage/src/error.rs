//! One failed request: which, on what, and why.
//!
//! The SDK's own errors are folded into [`Cause`] at once: they are generic over the operation,
//! print as "service error", and their `Debug` carries whole requests.

use std::time::Duration;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request to S3 that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object is not there.
    #[error("{operation} {key:?}: there is no such object")]
    NotFound {
        /// The S3 operation, such as `GetObject`.
        operation: &'static str,
        /// The key, or the bucket where the operation is about that.
        key: String,
    },
    /// The writer has lost the right to write; nothing was sent.
    #[error("{operation} {key:?}: the right to write was lost")]
    Fenced {
        /// The S3 operation.
        operation: &'static str,
        /// The key or prefix.
        key: String,
    },
    /// Anything else.
    #[error("{operation} {key:?} failed")]
    Request {
        /// The S3 operation, such as `GetObject`.
        operation: &'static str,
        /// The key or prefix, or the bucket where the operation is about that.
        key: String,
        /// Why.
        #[source]
        cause: Cause,
    },
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The server answered with an error.
    #[error("the server answered {status} {code}: {message}")]
    Answered {
        /// HTTP status.
        status: u16,
        /// S3's error code, such as `AccessDenied`.
        code: String,
        /// The server's explanation.
        message: String,
    },
    /// No answer in time.
    #[error("no answer in time: {0}")]
    TimedOut(String),
    /// The server could not be reached, or the connection broke.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The answer's body broke off or stalled.
    #[error("the answer broke off: {0}")]
    Body(String),
    /// The body did not arrive in the time its size allows.
    #[error("the answer's body took longer than {0:?}")]
    BodyTimedOut(Duration),
    /// The request could not be made at all.
    #[error("the request is invalid: {0}")]
    Invalid(String),
}

impl Error {
    /// Whether the same request may succeed later, unchanged.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Fenced { .. } => false,
            Self::Request { cause, .. } => cause.is_transient(),
        }
    }

    /// Whether the writer has lost the right to write.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }

    /// Whether the object, or the bucket, is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

impl Cause {
    fn is_transient(&self) -> bool {
        match self {
            Self::Answered { status, code, .. } => {
                *status >= 500
                    || matches!(status, 408 | 429)
                    || matches!(code.as_str(), "SlowDown" | "RequestTimeout" | "InternalError")
            }
            Self::TimedOut(_) | Self::Connection(_) => true,
            Self::Body(_) | Self::BodyTimedOut(_) => true,
            Self::Invalid(_) => false,
        }
    }
}

/// Folds an SDK error; 404 is [`Error::NotFound`] unless it is the bucket that is missing.
pub(crate) fn from_sdk<E>(
    operation: &'static str,
    key: &str,
    error: SdkError<E, HttpResponse>,
) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let cause = match &error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().unwrap_or("without a code").to_owned();
            if status == 404 && code != "NoSuchBucket" {
                return Error::NotFound { operation, key: key.to_owned() };
            }
            Cause::Answered { status, code, message: explanation(answer.err()) }
        }
        SdkError::TimeoutError(_) => Cause::TimedOut(DisplayErrorContext(&error).to_string()),
        SdkError::ConstructionFailure(_) => Cause::Invalid(DisplayErrorContext(&error).to_string()),
        SdkError::ResponseError(_) => Cause::Body(DisplayErrorContext(&error).to_string()),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            Cause::TimedOut(DisplayErrorContext(&error).to_string())
        }
        _ => Cause::Connection(DisplayErrorContext(&error).to_string()),
    };
    Error::Request { operation, key: key.to_owned(), cause }
}

fn explanation<E: ProvideErrorMetadata>(error: &E) -> String {
    let message = error.message().unwrap_or("no explanation").to_owned();
    match error.meta().request_id() {
        Some(id) => format!("{message} (request {id})"),
        None => message,
    }
}
