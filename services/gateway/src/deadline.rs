//! After what time a request is given up.
//!
//! The time runs from the request's head to its answer's; a stream's items
//! come after that and are not limited here. An upload has a limit for every
//! chunk instead. A request that says how long to
//! wait gets that time on top, and a gRPC client may ask for less.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use yuantus_proto::rest::ROUTES;

use crate::{headers, routes::Found, target::Target, upload};

/// The longest a request may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The longest an upload may take that makes progress.
const LONGEST_UPLOAD: Duration = Duration::from_secs(86_400);
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// How long requests may take.
pub struct Deadline {
    usual: Duration,
}

impl Deadline {
    /// `usual` is how long they may take that do not wait.
    pub fn new(usual: Duration) -> Self {
        Self { usual }
    }

    /// How long this request may take, whose path is `target`.
    pub fn of(&self, request: &Request<Body>, target: &Target) -> Duration {
        let path = request.uri().path();
        let route = match target {
            Target::Rpc => ROUTES.iter().find(|route| route.waits && route.rpc == path),
            Target::Rest(Found::Rpc(route, _)) if route.waits => Some(*route),
            _ => None,
        };
        let ours = match route {
            Some(route) if route.rpc == upload::RPC => LONGEST_UPLOAD,
            Some(_) => self.usual + LONGEST_WAIT,
            None => self.usual,
        };
        let asked = || parse(headers::text(request.headers(), GRPC_TIMEOUT));
        let asked = target.is_grpc().then(asked).flatten();
        asked.map_or(ours, |asked| asked.min(ours))
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::RouteTable;

    fn target(request: &Request<Body>) -> Target {
        Target::of(request, &RouteTable::new())
    }

    #[test]
    fn what_clients_ask_for_is_read() {
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for odd in ["", "S", "1", "-1S", "123456789S", "1é", "1 S"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn waiting_gets_its_time_and_nothing_else_does() {
        let deadline = Deadline::new(Duration::from_secs(1));
        let of = |verb: &str, path: &str| {
            let request = Request::builder().method(verb).uri(path);
            let request = request.header("content-type", "application/grpc");
            let request = request.body(Body::empty()).unwrap();
            deadline.of(&request, &target(&request))
        };
        let long = Duration::from_secs(301);
        assert_eq!(of("POST", "/api/v1/operations/1:wait"), long);
        assert_eq!(of("POST", "/yuantus.controlplane.v1.OperationService/WaitOperation"), long);
        assert_eq!(of("POST", "/api/v1/file/upload"), LONGEST_UPLOAD);
        assert_eq!(of("GET", "/api/v1/operations/1"), Duration::from_secs(1));
        assert_eq!(of("GET", "/api/v1/operations/1:wait"), Duration::from_secs(1));
    }

    #[test]
    fn a_grpc_client_may_ask_for_less_but_not_for_more() {
        let deadline = Deadline::new(Duration::from_secs(1));
        for (asked, gets) in [("50m", 50), ("1H", 1000), ("soon", 1000)] {
            let of = |path: &str| {
                let request = Request::post(path).header(GRPC_TIMEOUT, asked);
                let request = request.header("content-type", "application/grpc");
                let request = request.body(Body::empty()).unwrap();
                deadline.of(&request, &target(&request))
            };
            assert_eq!(of("/x.y.Z/Do"), Duration::from_millis(gets), "{asked}");
            assert_eq!(of("/x"), Duration::from_secs(1), "{asked}: no gRPC");
        }
    }
}
