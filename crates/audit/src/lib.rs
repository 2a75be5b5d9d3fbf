//! The audit trail: every tenant's rows are one hash chain, whose state is
//! signed now and then. What is signed is a chain too, whose end the bucket knows.
//!
//! Invariants: what [`verify`] passes was written in this order and is whole
//! up to the newest checkpoint; [`prune`] and [`seal`] sign nothing that they
//! have not verified; [`Trail`] never makes a request wait.

mod anchor;
mod chain;
mod checkpoint;
mod coalesce;
mod error;
mod prune;
mod recover;
mod seal;
mod signed;
mod signing;
mod trail;
mod verify;
mod witness;

pub use chain::Broken;
pub use checkpoint::{PURPOSE, is_ours};
pub use error::{Error, Result};
pub use prune::{Retention, prune};
pub use recover::recover;
pub use seal::{Sealed, renew, seal};
pub use signing::Signing;
pub use trail::{Trail, Writer};
pub use verify::{Report, verify};
