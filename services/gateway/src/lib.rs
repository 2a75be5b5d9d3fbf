//! The front door: gRPC and REST on one port, from the same service
//! implementations, behind one authentication layer.
//!
//! Invariant: no handler runs for a caller that was not authorised for exactly
//! that RPC. What is not in the permission table or the route table is
//! refused before anything of it is decoded.

pub mod directory;
pub mod error;
pub mod health;
pub mod memory;
pub mod observer;
pub mod serve;
pub mod services;
pub mod settings;

mod access;
mod adapters;
mod admission;
mod answer;
mod compress;
mod conditional;
mod connection;
mod context;
mod cors;
mod credentials;
mod deadline;
mod docs;
mod fixed;
mod front;
mod gate;
mod grpc;
mod handshake;
mod headers;
mod hosts;
mod kinds;
pub mod metrics;
mod nulls;
mod numbers;
pub mod openapi;
mod problem;
mod proxies;
mod request;
mod rest;
mod rest_error;
mod routes;
mod status_code;
mod status_details;
mod target;
pub mod tls;
pub mod upload;

pub use directory::Directory;
pub use error::{Error, Result};
pub use health::{Health, StorageFacts};
pub use hosts::Hosts;
pub use memory::Memory;
pub use observer::{Answered, Observer};
pub use serve::serve;
pub use services::Services;
pub use settings::{Bootstrap, GatewaySettings};
pub use yuantus_config::AuthMode;
