//! What an operation is made of. A step keeps no memory: it reads what is,
//! converges, and says what comes next.

use std::{collections::HashMap, error::Error as StdError, time::Duration};

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use yuantus_domain::OperationType;
use yuantus_identity::{Part, query::orphan::Leftover};

use crate::Run;

/// What a step came to.
#[derive(Debug)]
pub enum Outcome {
    /// Done: on to the next step.
    Advance,
    /// Done, with writes to the identity database that are to be committed
    /// together with the record of it. The transaction comes from [`Run::begin`].
    AdvanceIn(DatabaseTransaction),
    /// Done, and with these writes so is the whole operation: the steps that
    /// follow have nothing left to do. All of it is one statement, which begins
    /// `WITH ended AS (…)`; the part is what follows there, and writes nothing
    /// where `ended` has no row.
    DoneWith(Part),
    /// Not yet: look again after a while.
    Wait {
        /// What it waits for, for people.
        reason: String,
        /// How long.
        delay: Duration,
    },
}

/// What a step returns.
pub type StepResult = Result<Outcome, StepError>;

/// Why a step did not come to an outcome.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It may work later.
    #[error("{message}")]
    Retry {
        /// Stable, upper-case.
        reason: &'static str,
        /// For people; names the cause.
        message: String,
        /// The whole story, for the log.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// It will not work, however often it is tried.
    #[error("{message}")]
    Fail {
        /// Stable, upper-case.
        reason: &'static str,
        /// For people; names the cause.
        message: String,
        /// The whole story, for the log.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// What is there remembers more than the identity database does: nothing is
    /// to be done, or undone, until a person has looked. The operation waits,
    /// and recovery mode begins.
    #[error("{message}")]
    Behind {
        /// For people; names what differs.
        message: String,
    },
    /// Something that only a person can mend keeps it from going on: it waits, is
    /// looked at again now and then, and nothing is undone.
    #[error("{message}")]
    Park {
        /// Stable, upper-case.
        reason: &'static str,
        /// For people; names the cause.
        message: String,
        /// The whole story, for the log.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// The lease is lost: somebody else has the operation now.
    #[error("the lease was lost")]
    Lost,
}

impl StepError {
    /// A failure that may pass.
    pub fn retry(reason: &'static str, error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Retry { reason, message: chain(&error), source: Some(Box::new(error)) }
    }

    /// A failure that will not pass.
    pub fn fail(reason: &'static str, error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Fail { reason, message: chain(&error), source: Some(Box::new(error)) }
    }

    /// What keeps the operation from going on until a person mends it.
    pub fn park(reason: &'static str, error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Park { reason, message: chain(&error), source: Some(Box::new(error)) }
    }

    /// A failure that will not pass, in words.
    pub fn refuse(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Fail { reason, message: message.into(), source: None }
    }
}

impl From<yuantus_identity::Error> for StepError {
    fn from(error: yuantus_identity::Error) -> Self {
        if error.is_transient() {
            return Self::Retry {
                reason: "IDENTITY_DATABASE_UNAVAILABLE",
                message: "the identity database cannot be reached".into(),
                source: Some(Box::new(error)),
            };
        }
        Self::Fail {
            reason: "INTERNAL",
            message: "the identity database refused a statement".into(),
            source: Some(Box::new(error)),
        }
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

/// One step. `D` is what the steps work with.
#[async_trait]
pub trait Step<D: Sync + 'static>: Send + Sync {
    /// Its name, as in [`OperationType::steps`].
    fn name(&self) -> &'static str;

    /// Crash points within the step, beyond the engine's own around it.
    fn crash_points(&self) -> &'static [&'static str] {
        &[]
    }

    /// Reads what is and converges. May be dropped at any await, and run
    /// again after a crash at any line.
    async fn run(&self, deps: &D, run: &Run) -> StepResult;
}

/// How operations of one type are done.
#[async_trait]
pub trait Task<D: Sync + 'static>: Send + Sync {
    /// The type.
    fn kind(&self) -> OperationType;

    /// The steps, as in [`OperationType::steps`].
    fn steps(&self) -> &'static [&'static dyn Step<D>];

    /// Removes what the steps made outside the identity database, once the
    /// operation has failed for good or is cancelled. Converges, like a step.
    async fn clean_up(&self, deps: &D, run: &Run) -> Result<CleanUp, StepError>;

    /// What [`Task::clean_up`] may have left behind where it has failed for
    /// good: it is listed, and tried again later. Looks where it can; what it
    /// cannot see counts as left behind.
    async fn leftovers(&self, deps: &D, run: &Run) -> Vec<Leftover>;

    /// What nobody knows of an operation that has got this far and could not
    /// be undone: a sentence for people, with what to do.
    fn unknown(&self, _run: &Run) -> Option<&'static str> {
        None
    }

    /// Writes what the identity database is to say of an operation that was
    /// undone, in the transaction that ends it; `why` is for people.
    async fn record_undone(
        &self,
        run: &Run,
        txn: &DatabaseTransaction,
        why: &str,
    ) -> Result<(), StepError>;
}

/// What cleaning up came to.
#[derive(Debug)]
pub enum CleanUp {
    /// What was made is gone.
    Undone,
    /// There was no way back: the operation has done what it was asked for,
    /// and what is left to record of it is in the transaction.
    Completed(DatabaseTransaction),
}

/// All tasks of a worker.
pub struct Registry<D: 'static> {
    tasks: HashMap<OperationType, &'static dyn Task<D>>,
}

impl<D: Sync + 'static> Registry<D> {
    /// Takes the tasks; a later one of the same type replaces an earlier.
    pub fn new(tasks: &[&'static dyn Task<D>]) -> Self {
        Self { tasks: tasks.iter().map(|task| (task.kind(), *task)).collect() }
    }

    pub(crate) fn task(&self, kind: OperationType) -> Option<&'static dyn Task<D>> {
        self.tasks.get(&kind).copied()
    }

    /// The names of a task's steps, in order.
    pub fn steps(&self, kind: OperationType) -> Vec<&'static str> {
        let steps = self.task(kind).map(|task| task.steps()).unwrap_or_default();
        steps.iter().map(|step| step.name()).collect()
    }

    /// The types this worker can run.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.tasks.keys().map(|kind| kind.as_str().to_owned()).collect()
    }

    /// Every crash point of every operation, as `CreateDatabase.step.before`.
    pub fn crash_points(&self) -> Vec<String> {
        let mut points = Vec::new();
        for kind in OperationType::ALL {
            let Some(task) = self.task(*kind) else { continue };
            for step in task.steps() {
                let at = format!("{kind}.{}", step.name());
                points.push(format!("{at}.before"));
                points.extend(step.crash_points().iter().map(|p| format!("{at}.{p}")));
                points.push(format!("{at}.after"));
                points.push(format!("{at}.recorded"));
            }
        }
        points
    }
}
