//! One failed request: which, on what, and why.
//!
//! The SDK's own errors are folded into [`Cause`] at once: they are generic over the operation,
//! print as "service error", and their `Debug` carries whole requests.

use std::{fmt, time::Duration};

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a request was about: an object, a prefix, or where the key is empty the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The bucket.
    pub bucket: String,
    /// The key or prefix; empty where the request is about the bucket.
    pub key: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "of bucket {:?}", self.bucket),
            key => write!(f, "{key:?} in bucket {:?}", self.bucket),
        }
    }
}

/// A request to S3 that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object is not there: a read says so, and so does a listing of a bucket that exists.
    #[error("{operation} {subject}: there is no such object")]
    NotFound {
        /// The S3 operation, such as `GetObject`.
        operation: &'static str,
        /// The object.
        subject: Subject,
    },
    /// The writer has lost the right to write; nothing was sent.
    #[error("{operation} {subject}: the right to write was lost")]
    Fenced {
        /// The S3 operation.
        operation: &'static str,
        /// What was to be written or deleted.
        subject: Subject,
    },
    /// Anything else.
    #[error("{operation} {subject} failed")]
    Request {
        /// The S3 operation, such as `GetObject`.
        operation: &'static str,
        /// What it was about.
        subject: Subject,
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
    /// Two answers of the server do not go together, so neither is believed.
    #[error("the server contradicts itself: {0}")]
    Contradiction(String),
    /// The request could not be made at all.
    #[error("the request is invalid: {0}")]
    Invalid(String),
}

/// S3's code for a bucket that does not exist.
pub(crate) const NO_SUCH_BUCKET: &str = "NoSuchBucket";

impl Error {
    /// Whether the same request may succeed later, unchanged, without anybody doing anything.
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

    /// Whether the object is not there, which was looked at twice.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the request could not be made at all, whatever the server.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Request { cause: Cause::Invalid(_), .. })
    }

    /// Whether the bucket does not exist.
    pub fn is_missing_bucket(&self) -> bool {
        matches!(self.answered(), Some((_, NO_SUCH_BUCKET)))
    }

    /// Whether the server says that what arrived is not what was sent.
    pub(crate) fn is_digest_mismatch(&self) -> bool {
        self.answered().is_some_and(|(_, code)| is_digest(code))
    }

    /// HTTP status and S3's error code, where the server answered.
    pub fn answered(&self) -> Option<(u16, &str)> {
        match self {
            Self::Request { cause: Cause::Answered { status, code, .. }, .. } => {
                Some((*status, code))
            }
            _ => None,
        }
    }
}

/// The codes of a body, or a part of it, that differs from the digest sent with it.
fn is_digest(code: &str) -> bool {
    matches!(code, "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch")
}

impl Cause {
    fn is_transient(&self) -> bool {
        match self {
            Self::Answered { status, code, .. } => {
                (*status >= 500 && *status != 501)
                    || matches!(status, 408 | 429)
                    || matches!(code.as_str(), "SlowDown" | "RequestTimeout" | "InternalError")
                    || is_digest(code)
            }
            Self::TimedOut(_) | Self::Connection(_) => true,
            Self::Body(_) | Self::BodyTimedOut(_) | Self::Contradiction(_) => true,
            Self::Invalid(_) => false,
        }
    }
}

/// Folds an SDK error; 404 is [`Error::NotFound`] unless it is the bucket that is missing.
pub(crate) fn from_sdk<E>(
    operation: &'static str,
    subject: Subject,
    error: SdkError<E, HttpResponse>,
) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let cause = match &error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().unwrap_or("without a code").to_owned();
            if status == 404 && code != NO_SUCH_BUCKET && is_about_an_object(operation) {
                return Error::NotFound { operation, subject };
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
    Error::Request { operation, subject, cause }
}

/// Whether it is the object that is not there when the answer is 404.
fn is_about_an_object(operation: &str) -> bool {
    matches!(operation, "GetObject" | "HeadObject" | "DeleteObject" | "AbortMultipartUpload")
}

fn explanation<E: ProvideErrorMetadata>(error: &E) -> String {
    let message = error.message().unwrap_or("no explanation").to_owned();
    match error.meta().request_id() {
        Some(id) => format!("{message} (request {id})"),
        None => message,
    }
}
