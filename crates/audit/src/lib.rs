//! The audit trail: every tenant's rows are one hash chain, whose state is
//! signed now and then.
//!
//! Invariants: what [`verify`] passes was written in this order and is whole
//! up to the newest checkpoint; [`prune`] and [`seal`] sign nothing that they
//! have not verified; [`Trail`] never makes a request wait.

mod chain;
mod checkpoint;
mod coalesce;
mod error;
mod prune;
mod seal;
mod trail;
mod verify;

pub use chain::Broken;
pub use checkpoint::PURPOSE;
pub use error::{Error, Result};
pub use prune::{Retention, prune};
pub use seal::{Sealed, seal};
pub use trail::{Trail, Writer};
pub use verify::{Report, verify};
