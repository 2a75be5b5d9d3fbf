//! What a request is for.
//!
//! Invariant: the path decides first, then the method, and only then what else
//! a client says of itself. Its content type, its protocol and its headers
//! never lead a path to another handler than the path's own.

use http::{Method, Request};

use crate::{
    fixed::Fixed,
    gate::is_gate,
    headers,
    routes::{Found, RouteTable},
};

/// Whose a request is to answer.
pub enum Target {
    /// The question of a proxy.
    Gate,
    /// A method of gRPC, called as one.
    Rpc,
    /// A method of gRPC, called with this HTTP method, which is not gRPC's.
    RpcByOtherMethod,
    /// A method of gRPC, called with a body that is not gRPC's.
    RpcByOtherContent,
    /// Health, the OpenAPI document and its page.
    Fixed(&'static str),
    /// REST: what the path and method are there.
    Rest(Found),
}

impl Target {
    /// Whose `request` is to answer.
    pub fn of<B>(request: &Request<B>, routes: &RouteTable) -> Self {
        let (method, path) = (request.method(), request.uri().path());
        if is_gate(path) {
            return Self::Gate;
        }
        if is_rpc(path) {
            return match () {
                () if method != Method::POST => Self::RpcByOtherMethod,
                () if !headers::is_grpc(request.headers()) => Self::RpcByOtherContent,
                () => Self::Rpc,
            };
        }
        match Fixed::path(path) {
            Some(path) => Self::Fixed(path),
            None => Self::Rest(routes.find(method, path)),
        }
    }

    /// Whether the answer is gRPC's.
    pub fn is_grpc(&self) -> bool {
        matches!(self, Self::Rpc)
    }
}

/// Whether a path is a method of gRPC, ours or not: `/package.Service/Method`.
/// No other path of ours has a dot in its first of two segments.
fn is_rpc(path: &str) -> bool {
    let mut segments = path.strip_prefix('/').unwrap_or_default().split('/');
    let (service, method) = (segments.next().unwrap_or_default(), segments.next());
    service.contains('.')
        && method.is_some_and(|method| !method.is_empty())
        && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use yuantus_proto::rest::ROUTES;

    use super::*;
    use crate::{access::AccessTable, docs, fixed::PATHS};

    #[test]
    fn every_rpc_has_the_path_of_one_and_nothing_else_has() {
        for rpc in AccessTable::new().rpcs() {
            assert!(is_rpc(rpc), "{rpc}");
        }
        let fixed = PATHS.iter().chain(&docs::PATHS).copied();
        for other in ROUTES.iter().map(|route| route.template).chain(fixed) {
            assert!(!is_rpc(other), "{other}");
        }
        for other in ["", "/", "/a.b", "/a.b/", "/a.b/c/d", "//a.b/c", "a.b/c", "*"] {
            assert!(!is_rpc(other), "{other}");
        }
    }
}
