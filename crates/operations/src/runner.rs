//! Running one claimed operation from its present step until it ends, waits,
//! or is taken away.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use sea_orm::{DatabaseTransaction, prelude::DateTimeUtc};
use yuantus_domain::OperationState;

use crate::{
    Outcome, Result, Run, Step, StepError, StepResult, Task, backoff::Backoff, crashpoint,
    lease::Interrupt, metrics, undo::unwind,
};
use yuantus_identity::{Context, Part, query::recovery};

/// What a cancelled operation says as its reason.
pub(crate) const CANCELLED: &str = "CANCELLED";

/// How long an operation that is parked waits for the next look.
const PARKED: Duration = Duration::from_secs(15);

/// How long an operation waits for a worker that knows its next step.
const UNKNOWN_STEP: Duration = Duration::from_secs(10);

/// Why running stopped, short of the end.
pub(crate) enum Stop {
    Lost,
    Shutdown,
    /// The operation was given back, as was said.
    Released,
}

/// What one step (or the unwinding) came to, interrupts included.
pub(crate) enum Came {
    Advance(Option<DatabaseTransaction>),
    Done(Part),
    Wait { reason: String, delay: Duration },
    Retry { reason: &'static str, message: String },
    Fail { reason: &'static str, message: String },
    Parked { reason: String },
    Stop(Stop),
}

impl From<Interrupt> for Stop {
    fn from(why: Interrupt) -> Self {
        match why {
            Interrupt::Lost => Self::Lost,
            // One that is undone is not cancelled again.
            Interrupt::Shutdown | Interrupt::Cancel => Self::Shutdown,
        }
    }
}

/// How far a step took the operation.
enum Went {
    /// To the next step.
    On,
    /// This worker has nothing more to do with it.
    Left,
    /// To the end, of which watchers were told with the commit.
    Ended,
}

/// Runs `run` with `task`; returns once this worker has nothing more to do
/// with it. `attempt` was counted when it was claimed.
pub(crate) async fn run_operation<D: Sync + 'static>(
    task: &dyn Task<D>,
    deps: &D,
    mut run: Run,
    backoff: Backoff,
) {
    loop {
        let went = if run.operation.unwinding {
            unwind(task, deps, &run, backoff).await.map(|()| Went::Left)
        } else {
            step(task, deps, &mut run, backoff).await
        };
        match went {
            Ok(Went::On) => {}
            Ok(Went::Left) => break run.notifier.changed(run.id()),
            Ok(Went::Ended) => break,
            Err(stop) => break leave(&run, stop).await,
        }
    }
}

/// Stops short of the end.
async fn leave(run: &Run, stop: Stop) {
    match stop {
        Stop::Lost => tracing::warn!(epoch = run.epoch(), "the lease was lost"),
        Stop::Released => {}
        Stop::Shutdown => {
            let attempt = (run.operation.attempt - 1).max(0);
            let given_back = persist(run, || release(run, Duration::ZERO, attempt, "")).await;
            if given_back.is_ok() {
                tracing::info!("given back: this worker is stopping");
            }
            run.notifier.ready();
        }
    }
}

/// Runs the present step.
async fn step<D: Sync + 'static>(
    task: &dyn Task<D>,
    deps: &D,
    run: &mut Run,
    backoff: Backoff,
) -> Result<Went, Stop> {
    if run.operation.cancel_requested {
        return begin_unwinding(run, CANCELLED, "cancelled on request").await;
    }
    let names: Vec<String> =
        serde_json::from_value(run.operation.steps.clone()).unwrap_or_default();
    let at = usize::try_from(run.operation.step).unwrap_or(usize::MAX);
    let Some(step) = names.get(at).and_then(|n| task.steps().iter().find(|s| s.name() == n)) else {
        // A newer worker began it: another like that will go on with it.
        let reason = "waiting for a worker that knows its next step";
        let attempt = (run.operation.attempt - 1).max(0);
        let at = persist(run, || release(run, UNKNOWN_STEP, attempt, reason)).await?;
        tracing::warn!(next_attempt_at = %at, reason);
        return Ok(Went::Left);
    };
    if run.operation.attempt > run.operation.max_attempts {
        // Each attempt was lost, or done but refused when it was to be recorded.
        let message = match run.operation.reason.as_str() {
            "" => "every attempt ended without an outcome".to_owned(),
            reason => reason.to_owned(),
        };
        return begin_unwinding(run, "ATTEMPTS_EXHAUSTED", &message).await;
    }
    let last = at + 1 == names.len();
    let point = format!("{}.{}", run.kind, step.name());
    crashpoint!(format!("{point}.before"));
    let came = attempt(run, repeat(*step, deps, run)).await;
    match came {
        Came::Advance(txn) => {
            crashpoint!(format!("{point}.after"));
            advance(run, txn, last).await?;
            crashpoint!(format!("{point}.recorded"));
            Ok(if last { Went::Left } else { Went::On })
        }
        Came::Done(ending) => {
            crashpoint!(format!("{point}.after"));
            end_with(run, ending).await?;
            crashpoint!(format!("{point}.recorded"));
            Ok(Went::Ended)
        }
        Came::Wait { reason, delay } => {
            let at = persist(run, || release(run, delay, 0, &reason)).await?;
            tracing::info!(step = step.name(), next_attempt_at = %at, reason, "a step waits");
            Ok(Went::Left)
        }
        Came::Parked { reason } => give_back_parked(run, &reason).await.map(|()| Went::Left),
        Came::Retry { message, .. } if run.operation.attempt < run.operation.max_attempts => {
            metrics::step_failed(run.kind, step.name());
            let (attempt, attempts) = (run.operation.attempt, run.operation.max_attempts);
            let delay = backoff.delay(attempt);
            let at = persist(run, || release(run, delay, attempt, &message)).await?;
            tracing::warn!(step = step.name(), attempt, attempts, next_attempt_at = %at,
                error = %message, "a step failed and will be tried again");
            Ok(Went::Left)
        }
        Came::Retry { reason, message } | Came::Fail { reason, message } => {
            begin_unwinding(run, reason, &message).await
        }
        Came::Stop(stop) => Err(stop),
    }
}

/// In the crash tests every step is run once more before it is recorded.
async fn repeat<D: Sync + 'static>(step: &dyn Step<D>, deps: &D, run: &Run) -> StepResult {
    if crashpoint::repeats_steps()
        && let Outcome::AdvanceIn(txn) = step.run(deps, run).await?
    {
        run.commit(txn).await?;
    }
    step.run(deps, run).await
}

pub(crate) async fn attempt(run: &Run, work: impl Future<Output = StepResult>) -> Came {
    let work = AssertUnwindSafe(work).catch_unwind();
    let result = tokio::select! {
        biased;
        why = run.interrupted() => return interrupted(why),
        result = work => result,
    };
    if !matches!(result, Ok(Ok(_)))
        && let Some(why) = run.lease.present_interrupt()
    {
        // What it failed of may be that it was to stop.
        return interrupted(why);
    }
    match result {
        Ok(Ok(Outcome::Advance)) => Came::Advance(None),
        Ok(Ok(Outcome::AdvanceIn(txn))) => Came::Advance(Some(txn)),
        Ok(Ok(Outcome::DoneWith(ending))) => Came::Done(ending),
        Ok(Ok(Outcome::Wait { reason, delay })) => Came::Wait { reason, delay },
        Ok(Err(StepError::Retry { reason, message, .. })) => Came::Retry { reason, message },
        Ok(Err(StepError::Fail { reason, message, .. })) => Came::Fail { reason, message },
        Ok(Err(StepError::Behind { message })) => park(run, message).await,
        Ok(Err(StepError::Park { reason, message, .. })) => {
            tracing::warn!(reason, error = %message, "an operation waits for somebody to mend this");
            Came::Parked { reason: format!("{reason}: {message}") }
        }
        Ok(Err(StepError::Lost)) => Came::Stop(Stop::Lost),
        Err(_) => Came::Retry { reason: "INTERNAL", message: "the step panicked".into() },
    }
}

/// Gives a parked operation back: what only a person can mend is no attempt,
/// neither at a step nor at undoing.
pub(crate) async fn give_back_parked(run: &Run, reason: &str) -> Result<(), Stop> {
    let attempt = (run.operation.attempt - 1).max(0);
    persist(run, || release(run, PARKED, attempt, reason)).await.map(drop)
}

/// The operation waits; so do all others, since recovery mode begins.
async fn park(run: &Run, message: String) -> Came {
    match recovery::enter(&run.db, &message).await {
        Ok(_) => tracing::error!(%message, "recovery mode: an operation is parked"),
        Err(error) => tracing::warn!(%error, "recovery mode could not be entered"),
    }
    Came::Parked { reason: format!("parked: {message}") }
}

fn interrupted(why: Interrupt) -> Came {
    match why {
        Interrupt::Lost => Came::Stop(Stop::Lost),
        Interrupt::Shutdown => Came::Stop(Stop::Shutdown),
        Interrupt::Cancel => {
            Came::Fail { reason: CANCELLED, message: "cancelled on request".into() }
        }
    }
}

async fn advance(run: &mut Run, txn: Option<DatabaseTransaction>, last: bool) -> Result<(), Stop> {
    let next = run.operation.step + 1;
    if last {
        end(run, txn, OperationState::Succeeded, next).await?;
    } else {
        match txn {
            Some(txn) => {
                let held = run.claim().advance_with(&txn, next).await;
                commit(run, txn, held).await?;
            }
            None => {
                persist(run, || async { held(run.claim().advance(&run.db, next).await) }).await?
            }
        }
        run.notifier.changed(run.id());
    }
    run.operation.step = next;
    run.operation.attempt = 1;
    Ok(())
}

pub(crate) async fn end(
    run: &Run,
    txn: Option<DatabaseTransaction>,
    state: OperationState,
    step: i32,
) -> Result<(), Stop> {
    match txn {
        Some(txn) => {
            let held = run.claim().finish(&txn, state, step).await;
            commit(run, txn, held).await?;
        }
        None => {
            persist(run, || async { held(run.claim().finish(&run.db, state, step).await) }).await?
        }
    }
    ended(run, state);
    Ok(())
}

/// Records success in one statement.
pub(crate) async fn end_with(run: &Run, ending: Part) -> Result<(), Stop> {
    match run.claim().finish_with(&run.db, all_steps(run), ending).await {
        Ok(true) => {}
        Ok(false) => return Err(Stop::Lost),
        Err(error) => return Err(let_go(run, &error).await),
    }
    ended(run, OperationState::Succeeded);
    Ok(())
}

pub(crate) fn all_steps(run: &Run) -> i32 {
    let steps = run.operation.steps.as_array().map_or(0, Vec::len);
    i32::try_from(steps).unwrap_or(i32::MAX)
}

fn ended(run: &Run, state: OperationState) {
    let error = Some(run.operation.error_message.as_str()).filter(|message| !message.is_empty());
    tracing::info!(state = state.as_str(), error, "operation ended");
    metrics::ended(run.kind, state.as_str(), run.begun);
}

async fn commit(run: &Run, txn: DatabaseTransaction, held: Result<bool>) -> Result<(), Stop> {
    let committed = match held {
        Ok(true) => txn.commit().await.during("commit step").map_err(crate::Error::from),
        Ok(false) => return Err(Stop::Lost),
        Err(error) => Err(error),
    };
    match committed {
        Ok(()) => Ok(()),
        Err(error) => Err(let_go(run, &error).await),
    }
}

/// A commit that fails may have happened: the lease is let go, and whoever
/// claims the operation next sees which. An attempt counts unless it was the
/// identity database that went away.
async fn let_go(run: &Run, error: &crate::Error) -> Stop {
    let away = matches!(error, crate::Error::Identity(error) if error.is_transient());
    let attempt = run.operation.attempt - i32::from(away);
    let why = match away {
        true => "the identity database was lost".to_owned(),
        false => format!("what it did could not be recorded: {}", crate::step::chain(error)),
    };
    let delay = Duration::from_secs(1);
    let released = persist(run, || release(run, delay, attempt, &why)).await;
    let at = released.ok().map(|at| at.to_string());
    tracing::warn!(error = %crate::step::chain(error), attempt, next_attempt_at = at.as_deref(),
        "a step could not be recorded and will be tried again");
    if at.is_some() { Stop::Released } else { Stop::Lost }
}

async fn begin_unwinding(run: &mut Run, reason: &str, message: &str) -> Result<Went, Stop> {
    tracing::warn!(reason, error = message, "operation is given up and undone");
    persist(run, || async { held(run.claim().begin_unwinding(&run.db, reason, message).await) })
        .await?;
    run.lease.obey_cancel();
    run.operation.unwinding = true;
    run.operation.attempt = 1;
    run.operation.error_reason = reason.to_owned();
    run.operation.error_message = message.to_owned();
    run.notifier.changed(run.id());
    Ok(Went::On)
}

pub(crate) async fn release(
    run: &Run,
    delay: Duration,
    attempt: i32,
    reason: &str,
) -> Result<Option<DateTimeUtc>> {
    run.claim().release(&run.db, delay, attempt, reason).await
}

/// What [`persist`] takes from a write that says whether the claim held.
fn held(written: Result<bool>) -> Result<Option<()>> {
    Ok(written?.then_some(()))
}

/// Writes what must not be lost: again and again while the identity database
/// is away, for as long as the lease may hold.
pub(crate) async fn persist<T, F: Future<Output = Result<Option<T>>>>(
    run: &Run,
    write: impl Fn() -> F,
) -> Result<T, Stop> {
    loop {
        match write().await {
            Ok(Some(written)) => return Ok(written),
            Ok(None) => return Err(Stop::Lost),
            Err(error) if run.lease.is_live() => {
                tracing::warn!(%error, "the identity database is away; writing again");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(_) => return Err(Stop::Lost),
        }
    }
}
