//! The API: gRPC handlers (`rpc/<noun>.rs`) over use cases (`app/<noun>.rs`).
//!
//! Invariants: a handler parses, calls one use case, converts and returns;
//! a use case writes a change, its operation and its audit row in one
//! transaction, and answers the domain's error.

pub mod app;
pub mod rpc;
