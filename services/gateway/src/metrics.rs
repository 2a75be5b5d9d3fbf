//! What the front door counts.
//!
//! Invariant: labels come from the contract and from HTTP, never from what
//! clients send.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use yuantus_proto::rest::ROUTES;

/// gRPC's own methods: health and reflection.
const OTHER: &str = "grpc";
const REQUESTS: &str = "yuantus_requests_total";
const DURATION: &str = "yuantus_request_duration_seconds";
const IN_FLIGHT: &str = "yuantus_requests_in_flight";
const CONNECTIONS: &str = "yuantus_connections";
const HANDSHAKES: &str = "yuantus_tls_handshake_failures_total";

/// Says what the numbers mean.
pub fn describe() {
    describe_counter!(REQUESTS, "Requests answered, by RPC or path, protocol and status.");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "From a request's head to the end of its answer, streams included, by RPC or path and protocol."
    );
    describe_gauge!(IN_FLIGHT, "Requests that are being answered, by protocol.");
    describe_gauge!(CONNECTIONS, "Open connections.");
    describe_counter!(HANDSHAKES, "TLS handshakes that failed or took too long.");
}

/// Something that goes on until this is dropped.
pub struct Going {
    name: &'static str,
    protocol: Option<&'static str>,
}

impl Going {
    /// A connection.
    pub fn connection() -> Self {
        gauge!(CONNECTIONS).increment(1.0);
        Self { name: CONNECTIONS, protocol: None }
    }

    /// A request.
    pub fn request(grpc: bool) -> Self {
        let protocol = protocol(grpc);
        gauge!(IN_FLIGHT, "protocol" => protocol).increment(1.0);
        Self { name: IN_FLIGHT, protocol: Some(protocol) }
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        match self.protocol {
            Some(protocol) => gauge!(self.name, "protocol" => protocol).decrement(1.0),
            None => gauge!(self.name).decrement(1.0),
        }
    }
}

fn protocol(grpc: bool) -> &'static str {
    if grpc { "grpc" } else { "rest" }
}

/// An RPC that callers may know, as the contract writes it.
pub fn named(rpc: &str) -> &'static str {
    ROUTES.iter().find(|route| route.rpc == rpc).map_or(OTHER, |route| route.rpc)
}

/// A request was answered. `rpc` is gRPC's path, or a path that is no RPC.
pub fn answered(rpc: &'static str, grpc: bool, status: &str, took: Duration) {
    let rpc = rpc.strip_prefix("/yuantus.controlplane.v1.").unwrap_or(rpc);
    let (protocol, status) = (protocol(grpc), status.to_owned());
    counter!(REQUESTS, "rpc" => rpc, "protocol" => protocol, "status" => status).increment(1);
    histogram!(DURATION, "rpc" => rpc, "protocol" => protocol).record(took);
}

/// A TLS handshake came to nothing.
pub fn handshake_failed() {
    counter!(HANDSHAKES).increment(1);
}
