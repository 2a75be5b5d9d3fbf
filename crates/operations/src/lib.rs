//! The durable operation engine. The identity database's `operations` table
//! is the queue and the API's long-running operation in one.
//!
//! Invariants:
//! - at most one operation of a lane runs, in the order of creation;
//! - every write of a worker names the epoch it claimed with: one that lost
//!   its lease writes nothing;
//! - a step is recorded after it is done and may run again before that, so
//!   steps converge; recorded steps never run again;
//! - undoing ends too: what cannot be removed is listed, and the lane goes on;
//! - no transaction or pooled connection is held while a step works.

pub mod backoff;
pub mod cancel;
mod claim;
pub mod crashpoint;
pub mod enqueue;
pub mod error;
mod lease;
pub mod metrics;
pub mod node;
pub mod notify;
mod reaper;
mod record;
pub mod retry;
pub mod run;
mod runner;
pub mod step;
pub mod undo;
pub mod watch;
pub mod worker;

pub use enqueue::{Enqueued, NewOperation, enqueue, enqueue_given};
pub use error::{Error, Result};
pub use notify::Notifier;
pub use run::Run;
pub use step::{CleanUp, Outcome, Registry, Step, StepError, StepResult, Task};
pub use undo::UNDO_ATTEMPTS;
pub use watch::Watcher;
pub use worker::{Settings, run_worker};
