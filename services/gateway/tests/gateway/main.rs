//! The gateway over real sockets, in front of small services.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod adapters;
mod auth;
mod authority;
mod compress;
mod conditional;
mod context;
mod contract;
mod cors;
mod deadline;
mod directory;
mod drain;
mod errors;
mod fakes;
mod gate;
mod grpc;
mod hardening;
mod health;
mod hygiene;
mod logs;
mod rest;
mod server;
mod status;
mod streams;
mod target;
mod tls;
