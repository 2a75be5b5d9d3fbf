//! S3: the client, and the in-process server of dev and tests.
//!
//! The AWS SDK is spoken to here and nowhere else. Invariants: every request is bounded in time
//! (a server that stalls is an error, never a hang), every error names the operation and the key,
//! and credentials never reach a log, a `Debug` or an error.

mod client;
mod error;
pub mod local_server;
mod object_store;
mod presign;
mod settings;

pub use error::{Cause, Error, Result, Subject};
pub use object_store::{Object, ObjectHeaders, ObjectStore, PART_BYTES, Upload};
pub use presign::Presigner;
pub use settings::{S3Settings, Timeouts};
