//! Undoing what an operation made that failed or was cancelled.
//!
//! Invariants: undoing ends. However it fails (an error, a panic, a worker
//! lost in it, an end that cannot be recorded), it is tried
//! [`UNDO_ATTEMPTS`] times; every failed attempt is a warning that names the
//! cause and the time of the next. Then the operation is FAILED, what it may
//! have left behind is listed in the transaction that says so, and its lane
//! goes on.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use sea_orm::DatabaseTransaction;
use yuantus_domain::OperationState;
use yuantus_identity::query::orphan::{self, Leftover};

use crate::{
    CleanUp, Outcome, Run, StepError, StepResult, Task,
    backoff::Backoff,
    crashpoint, metrics,
    run::engine_error,
    runner::{
        CANCELLED, Came, Stop, all_steps, attempt, end, end_with, give_back_parked, persist,
        release,
    },
};

/// How often undoing is tried. With the delays between ([`MAX_DELAY`] at most)
/// that is three minutes: long enough for a server to be started again, short
/// enough for whoever waits in the same lane. What is left is tried again later,
/// from the list of orphans, and keeps nobody waiting.
pub const UNDO_ATTEMPTS: i32 = 12;

/// Most time between two of them.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// The longest one of them may take. Dropping a database waits for a
/// checkpoint, of which 35 s were measured; objects are deleted in batches, and
/// the next attempt goes on with those that are left.
const LONGEST: Duration = Duration::from_secs(120);

/// What an operation says as its reason that could not be undone. Why it failed
/// at first stands in its message, which is for the platform's administrators.
const UNDO_FAILED: &str = "UNDO_FAILED";

/// How an operation ends that did not succeed.
struct Ending {
    state: OperationState,
    reason: String,
    message: String,
    left: Vec<Leftover>,
    /// Why that is left.
    cause: String,
}

/// Undoes what was begun and records the end.
pub(crate) async fn unwind<D: Sync + 'static>(
    task: &dyn Task<D>,
    deps: &D,
    run: &Run,
    backoff: Backoff,
) -> Result<(), Stop> {
    crashpoint!(format!("{}.unwind.before", run.kind));
    let came = if run.operation.attempt > UNDO_ATTEMPTS {
        // Every attempt before ended with its worker.
        let message = format!("its worker was lost in each of {UNDO_ATTEMPTS} attempts");
        Came::Retry { reason: "WORKER_LOST", message }
    } else {
        attempt(run, clean_up(task, deps, run)).await
    };
    crashpoint!(format!("{}.unwind.after", run.kind));
    let ending = match came {
        Came::Stop(stop) => return Err(stop),
        Came::Advance(Some(txn)) => {
            return end(run, Some(txn), OperationState::Succeeded, all_steps(run)).await;
        }
        Came::Done(ending) => return end_with(run, ending).await,
        Came::Advance(None) => undone(run),
        Came::Parked { reason } => return give_back_parked(run, &reason).await,
        Came::Wait { reason: cause, .. }
        | Came::Retry { message: cause, .. }
        | Came::Fail { message: cause, .. } => {
            if run.operation.attempt < UNDO_ATTEMPTS {
                return try_again(run, backoff, &cause).await;
            }
            given_up(task, deps, run, cause).await?
        }
    };
    record(task, run, backoff, ending).await
}

async fn clean_up<D: Sync + 'static>(task: &dyn Task<D>, deps: &D, run: &Run) -> StepResult {
    let cleaned = tokio::time::timeout(LONGEST, task.clean_up(deps, run)).await;
    let cleaned = cleaned.map_err(|_| StepError::Retry {
        reason: "TIMEOUT",
        message: format!("it took longer than {} s", LONGEST.as_secs()),
        source: None,
    })?;
    Ok(match cleaned? {
        CleanUp::Undone => Outcome::Advance,
        CleanUp::Completed(txn) => Outcome::AdvanceIn(txn),
    })
}

/// Gives the operation back until the next attempt is due.
async fn try_again(run: &Run, backoff: Backoff, cause: &str) -> Result<(), Stop> {
    metrics::step_failed(run.kind, "undo");
    let number = run.operation.attempt;
    let delay = backoff.delay(number).min(MAX_DELAY);
    let at = persist(run, || release(run, delay, number, cause)).await?;
    tracing::warn!(attempt = number, attempts = UNDO_ATTEMPTS, next_attempt_at = %at, error = cause,
        "what an operation made could not be removed and will be tried again");
    Ok(())
}

/// The end of an operation that was undone.
fn undone(run: &Run) -> Ending {
    let (reason, message) = (&run.operation.error_reason, &run.operation.error_message);
    let state = match reason.as_str() {
        CANCELLED => OperationState::Cancelled,
        _ => OperationState::Failed,
    };
    let (reason, message) = (reason.clone(), message.clone());
    Ending { state, reason, message, left: Vec::new(), cause: String::new() }
}

/// The end of one that could not be.
async fn given_up<D: Sync + 'static>(
    task: &dyn Task<D>,
    deps: &D,
    run: &Run,
    cause: String,
) -> Result<Ending, Stop> {
    let looking = AssertUnwindSafe(task.leftovers(deps, run)).catch_unwind();
    let left = tokio::select! {
        biased;
        why = run.interrupted() => return Err(why.into()),
        left = looking => left.unwrap_or_else(|_| {
            tracing::error!("what an operation left behind could not be listed");
            Vec::new()
        }),
    };
    let names: Vec<String> = left.iter().map(Leftover::to_string).collect();
    tracing::error!(
        attempts = UNDO_ATTEMPTS,
        error = cause,
        left = names.join(", "),
        "what an operation made could not be removed; it is given up and listed as orphaned"
    );
    let Ending { reason, message, .. } = undone(run);
    let mut message = format!("{message} ({reason}); it could not be undone: {cause}");
    if !names.is_empty() {
        message += &format!("; left behind: {}", names.join(", "));
    }
    if let Some(unknown) = task.unknown(run) {
        message += &format!("; {unknown}");
    }
    let reason = UNDO_FAILED.to_owned();
    Ok(Ending { state: OperationState::Failed, reason, message, left, cause })
}

/// Writes the end. Where the rows it is about cannot be written, it is tried
/// again; after the last attempt it ends without them.
async fn record<D: Sync + 'static>(
    task: &dyn Task<D>,
    run: &Run,
    backoff: Backoff,
    ending: Ending,
) -> Result<(), Stop> {
    let step = run.operation.step;
    let cause = match attempt(run, write(Some(task), run, &ending)).await {
        Came::Advance(txn) => return end(run, txn, ending.state, step).await,
        Came::Done(ending) => return end_with(run, ending).await,
        Came::Stop(stop) => return Err(stop),
        Came::Parked { reason } => return give_back_parked(run, &reason).await,
        Came::Wait { reason: cause, .. }
        | Came::Retry { message: cause, .. }
        | Came::Fail { message: cause, .. } => cause,
    };
    if run.operation.attempt < UNDO_ATTEMPTS {
        return try_again(run, backoff, &cause).await;
    }
    tracing::error!(error = cause, "what an operation was about could not be marked as failed");
    match attempt(run, write(None::<&dyn Task<D>>, run, &ending)).await {
        Came::Stop(stop) => Err(stop),
        Came::Advance(txn) => end(run, txn, ending.state, step).await,
        // The identity database is away: the end, and what is left, is written
        // once it is back.
        Came::Retry { message, .. } | Came::Wait { reason: message, .. }
            if run.operation.attempt < 2 * UNDO_ATTEMPTS =>
        {
            try_again(run, backoff, &message).await
        }
        _ => end(run, None, ending.state, step).await,
    }
}

async fn write<D: Sync + 'static>(
    task: Option<&dyn Task<D>>,
    run: &Run,
    ending: &Ending,
) -> StepResult {
    let txn: DatabaseTransaction = run.begin().await?;
    if let Some(task) = task {
        task.record_undone(run, &txn, &ending.message).await?;
    }
    if !ending.cause.is_empty() {
        orphan::insert(&txn, run.id(), run.key(), &ending.left, &ending.cause).await?;
        let held = run.claim().fail(&txn, &ending.reason, &ending.message).await;
        if !held.map_err(engine_error)? {
            return Err(StepError::Lost);
        }
    }
    Ok(Outcome::AdvanceIn(txn))
}
