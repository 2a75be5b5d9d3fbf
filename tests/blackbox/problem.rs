//! How refusals look: problem documents over REST, details over gRPC.

use reqwest::{Response, StatusCode};
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Asserts what every problem document has, and answers it.
pub async fn problem(response: Response, status: u16) -> Value {
    let header = |name: &str| {
        let value = response.headers().get(name).map(|value| value.to_str().expect("text"));
        value.unwrap_or_default().to_owned()
    };
    let (kind, id) = (header("content-type"), header("x-request-id"));
    let (got, url) = (response.status(), response.url().to_string());
    let text = response.text().await.expect("body");
    assert_eq!(got, StatusCode::from_u16(status).expect("status"), "{url}: {text}");
    assert_eq!(kind, "application/problem+json", "{url}");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["request_id"], id.as_str(), "{url}");
    assert_eq!(document["status"], status, "{url}");
    for field in ["type", "title", "detail", "code", "reason"] {
        assert!(document[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {text}");
    }
    document
}

/// Asserts what every gRPC refusal has, and answers its reason.
pub fn refusal(status: &Status, code: Code) -> String {
    assert_eq!(status.code(), code, "{status:?}");
    assert!(!status.message().is_empty(), "{status:?}");
    assert!(status.metadata().contains_key("x-request-id"), "{status:?}");
    let info = status.get_details_error_info().expect("ErrorInfo");
    assert_eq!(info.domain, "yuantus.controlplane");
    info.reason
}

/// The field and the rule that a gRPC refusal names.
pub fn violation(status: &Status) -> (String, String) {
    assert_eq!(refusal(status, Code::InvalidArgument), "INVALID_ARGUMENT");
    let details = status.get_details_bad_request().expect("BadRequest");
    let [violation] = &details.field_violations[..] else { panic!("{details:?}") };
    let (field, rule) = (violation.field.clone(), violation.description.clone());
    assert_eq!(status.message(), format!("{field} {rule}"));
    (field, rule)
}
