//! What the tests stand on: a private PostgreSQL, an in-process S3 over HTTP,
//! and the real binary as child processes that can be killed or frozen.
//!
//! Invariant: everything started here listens on loopback, lives in one
//! temporary directory, and ends with the value that started it.

mod api;
mod child;
mod environment;
mod program;
pub mod s3_proxy;

pub use api::{Api, backup_id};
pub use child::Child;
pub use environment::{Options, TestEnv, binary, path, postgres_programs, published_bundle};
pub use program::{Ran, run};
