//! What a status carries besides code and message: `google.rpc.ErrorInfo`,
//! `BadRequest` and `RetryInfo`.

use std::time::Duration;

use prost::Message;
use tonic_types::{RpcStatusExt, pb};

/// The details problem documents show.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StatusDetails {
    /// Our stable word for the cause.
    pub reason: Option<String>,
    /// The field that breaks a rule.
    pub field: Option<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl StatusDetails {
    /// Reads an encoded `google.rpc.Status`; what cannot be read is left out.
    pub fn decode(encoded: &[u8]) -> Self {
        let details = pb::Status::decode(encoded).unwrap_or_default().get_error_details();
        let ours = details.error_info().filter(|info| info.domain == "yuantus.controlplane");
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice());
        Self {
            reason: ours.map(|info| info.reason.clone()).filter(|reason| !reason.is_empty()),
            field: violations.and_then(<[_]>::first).map(|violation| violation.field.clone()),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}
