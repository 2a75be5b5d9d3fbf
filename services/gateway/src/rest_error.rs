//! The transcoder's errors as problems.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tonic::Code;
use tracing::error;

use crate::{problem::Problem, status_details::StatusDetails};

/// A `google.rpc.Status` as the transcoder writes it.
#[derive(Deserialize)]
struct Written {
    code: i32,
    message: String,
    #[serde(default)]
    details: Vec<Detail>,
}

/// Only the encoded status among the details is of interest.
#[derive(Deserialize)]
struct Detail {
    kind: String,
    value: String,
}

/// The problem that an error body of the transcoder tells. It does not say
/// which field it cannot read: `find` does.
pub fn problem(body: &[u8], find: impl FnOnce() -> Option<Problem>) -> Problem {
    let Ok(written) = serde_json::from_slice::<Written>(body) else {
        error!("the transcoder's error is not a status");
        return Problem::panicked();
    };
    let code = Code::from_i32(written.code);
    if matches!(code, Code::Internal | Code::Unknown | Code::DataLoss) {
        error!(detail = written.message, "a request failed");
    }
    let encoded = written.details.iter().find(|detail| detail.kind == "grpc-status-details-bin");
    match encoded.and_then(|detail| STANDARD.decode(&detail.value).ok()) {
        Some(encoded) => {
            Problem::of_service(code, &written.message, StatusDetails::decode(&encoded))
        }
        None if code == Code::InvalidArgument => {
            find().unwrap_or_else(|| of_decoding(code, &written.message))
        }
        None => of_decoding(code, &written.message),
    }
}

/// The problem of a body that is not what an adapter takes.
pub fn body(error: &serde_json::Error) -> Problem {
    of_decoding(Code::InvalidArgument, &format!("the body is not what is expected: {error}"))
}

/// What is said of a value of the wrong type shows it, and it may be a password.
fn without_value(message: &str) -> Cow<'_, str> {
    let found = ["invalid type: ", "invalid value: "].iter().find_map(|kind| message.find(kind));
    let Some(at) = found else { return Cow::Borrowed(message) };
    let (before, shown) = message.split_at(at);
    let expected = shown.rfind(", expected ").map_or("", |at| &shown[at + 2..]);
    Cow::Owned(format!("{before}not of the right type: {expected}"))
}

/// Without details it is the transcoder's own: the JSON is not the message.
fn of_decoding(code: Code, message: &str) -> Problem {
    let message = &*without_value(message);
    let named = ["unknown field `", "missing field `"].into_iter();
    let named = named.filter_map(|before| Some(message.split_once(before)?.1.split_once('`')?.0));
    let field = named.map(str::to_owned).next();
    Problem::of_service(code, message, StatusDetails::default()).field(field)
}

#[cfg(test)]
mod tests {
    use super::without_value;

    #[test]
    fn a_value_of_the_wrong_type_is_not_shown() {
        for (message, said) in [
            (
                "invalid type: integer `12345678`, expected a string at line 1 column 23",
                "not of the right type: expected a string at line 1 column 23",
            ),
            (
                "request: invalid type: string \"a, expected b\", expected struct X",
                "request: not of the right type: expected struct X",
            ),
            ("unknown field `nmae`, expected `name`", "unknown field `nmae`, expected `name`"),
        ] {
            assert_eq!(without_value(message), said);
        }
    }
}
