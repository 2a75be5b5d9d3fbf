//! The contract, generated from `proto/`: messages, gRPC clients and servers,
//! proto3 JSON, REST routes and the OpenAPI document. Nothing else.
//!
//! Invariant: gRPC and REST come from one descriptor set, so neither can say
//! what the other does not.

pub mod access;
mod redacted;
pub mod rest;

/// The messages, clients and servers of `yuantus.controlplane.v1`.
pub mod v1 {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::unwrap_used,
        reason = "generated: its documentation is the comments in proto/"
    )]
    include!(concat!(env!("OUT_DIR"), "/yuantus.controlplane.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/yuantus.controlplane.v1.serde.rs"));
    include!(concat!(env!("OUT_DIR"), "/yuantus.controlplane.v1.rest.rs"));
}

/// Envoy's external authorization, as far as we speak it.
pub mod envoy {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::unwrap_used,
        reason = "generated: its documentation is the comments in proto/"
    )]
    include!(concat!(env!("OUT_DIR"), "/envoy.service.auth.v3.rs"));
}

/// The encoded `FileDescriptorSet`, comments and imports included: for
/// reflection, and for tests that walk every RPC.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

/// The OpenAPI 3.1 document, as JSON.
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));
