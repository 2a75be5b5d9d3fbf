//! What ends a command early: what people are told, and the exit code.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage (also clap's), 3 some of many
//! failed.

use std::{
    error::Error as StdError,
    io::{self, Write},
    process::ExitCode,
};

use tonic::{Code, Status};
use tonic_types::StatusExt;
use yuantus_proto::v1::Operation;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused, or is not there.
    Status {
        /// Its URL.
        server: String,
        /// What it said.
        status: Box<Status>,
    },
    /// The operation ended otherwise than well.
    Operation(Box<Operation>),
    /// The operation did not end in the time given.
    Timeout {
        /// The operation's id.
        operation: String,
    },
    /// Some of many failed.
    Partial {
        /// How many failed.
        failed: usize,
        /// Of how many.
        total: usize,
    },
    /// Something on this machine failed.
    Local {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The arguments make no sense together.
    Usage(String),
    /// Nobody reads our output any more.
    Quiet,
}

impl Failure {
    pub(crate) fn local(
        action: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Local { action: action.into(), source: source.into() }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Quiet => ExitCode::SUCCESS,
            Self::Usage(_) => ExitCode::from(2),
            Self::Partial { .. } => ExitCode::from(3),
            _ => ExitCode::FAILURE,
        }
    }

    /// Tells stderr, as far as anybody reads it.
    pub(crate) fn report(&self) {
        let text = self.to_string();
        if !text.is_empty() {
            let _ = write!(anstream::stderr(), "{text}");
        }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Status { server, status } => status_lines(server, status),
            Self::Operation(operation) => operation_lines(operation),
            Self::Timeout { operation } => vec![
                ("error", format!("operation {operation} has not ended yet")),
                ("hint", format!("it goes on; wait with `yuantus op wait {operation}`")),
            ],
            Self::Partial { failed, total } => {
                vec![("error", format!("{failed} of {total} failed"))]
            }
            Self::Local { action, source } => {
                vec![("error", format!("{action}: {}", chain(source.as_ref())))]
            }
            Self::Usage(message) => vec![("error", message.clone())],
            Self::Quiet => Vec::new(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (label, text) in self.lines() {
            let indent = if matches!(label, "error" | "hint") { "" } else { "  " };
            writeln!(f, "{indent}{label}: {text}")?;
        }
        Ok(())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Quiet,
            _ => Self::local("write the output", error),
        }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // Some libraries repeat their source.
        if !parts.iter().any(|part| part.ends_with(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

fn status_lines(server: &str, status: &Status) -> Vec<(&'static str, String)> {
    if let Some(source) = status.source() {
        let hint =
            "is it running? `yuantus dev` starts one; --server or YUANTUS_SERVER names another";
        return vec![
            ("error", format!("cannot reach {server}: {}", chain(source))),
            ("hint", hint.to_owned()),
        ];
    }
    let mut lines = vec![("error", status.message().to_owned())];
    let details = status.get_error_details();
    if let Some(info) = details.error_info() {
        lines.push(("reason", info.reason.clone()));
    }
    if let Some(request) = details.bad_request() {
        for violation in &request.field_violations {
            lines.push(("field", format!("{} {}", violation.field, violation.description)));
        }
    }
    let header = status.metadata().get("x-request-id").and_then(|id| id.to_str().ok());
    let detail = details.request_info().map(|info| info.request_id.as_str());
    if let Some(id) = header.or(detail) {
        lines.push(("request id", id.to_owned()));
    }
    lines.extend(hint(status.code()).map(|hint| ("hint", hint.to_owned())));
    lines
}

fn hint(code: Code) -> Option<&'static str> {
    match code {
        Code::Unauthenticated => Some("log in with `yuantus login`, or set YUANTUS_TOKEN"),
        Code::Unavailable | Code::ResourceExhausted => Some("the same command may work later"),
        Code::Unimplemented => Some("the server is older than this program"),
        Code::Internal | Code::Unknown => Some("the server's log has more, by the request id"),
        _ => None,
    }
}

fn operation_lines(operation: &Operation) -> Vec<(&'static str, String)> {
    let state = operation.state().as_str_name().to_lowercase();
    let subject = format!("{} of {}/{}", operation.r#type, operation.tenant_id, operation.org_id);
    let mut lines = match &operation.error {
        Some(error) => {
            vec![
                ("error", format!("{subject} {state}: {}", error.message)),
                ("reason", error.reason.clone()),
            ]
        }
        None => vec![("error", format!("{subject} was {state}"))],
    };
    lines.push(("operation", operation.id.clone()));
    lines.push(("hint", format!("try again with `yuantus op retry {}`", operation.id)));
    lines
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;
    use yuantus_proto::v1::OperationError;

    use super::*;

    #[test]
    fn a_refusal_shows_its_reason_field_and_request_id() {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            "INVALID_ARGUMENT",
            "yuantus.controlplane",
            std::collections::HashMap::new(),
        );
        details.add_bad_request_violation("org_id", "must not hold `__`");
        details.set_request_info("0197", "");
        let status =
            Status::with_error_details(Code::InvalidArgument, "org_id must not hold `__`", details);
        insta::assert_snapshot!(Failure::Status {
            server: "http://x".into(),
            status: status.into()
        });
    }

    #[test]
    fn a_caller_without_a_token_is_told_how_to_get_one() {
        let status =
            Status::with_error_details(Code::Unauthenticated, "no token", ErrorDetails::new());
        let status = Box::new(status);
        insta::assert_snapshot!(Failure::Status { server: "http://x".into(), status });
    }

    #[test]
    fn a_failed_operation_shows_the_cause_and_how_to_retry() {
        let error = OperationError { reason: "BAD_SQL".into(), message: "0002_x.sql:3: no".into() };
        let operation = Operation {
            id: "0197".into(),
            r#type: "CreateDatabase".into(),
            tenant_id: "t".into(),
            org_id: "o".into(),
            state: yuantus_proto::v1::operation::State::Failed.into(),
            error: Some(error),
            ..Default::default()
        };
        insta::assert_snapshot!(Failure::Operation(Box::new(operation)));
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.to_string(), "");
        assert_eq!(failure.exit_code(), ExitCode::SUCCESS);
    }
}
