//! Gives a spare database its name, role and password; makes one where there
//! is none. One that came from the template of this bundle is ready with that.

use async_trait::async_trait;
use yuantus_domain::DatabaseName;
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult, crashpoint};
use yuantus_postgres::{Assigned, Assignment, Error, Kind, LaneSession, Spare, Warm};

use super::record_ready;
use crate::{Deps, failure, names};

pub(super) struct AssignDatabase;

#[async_trait]
impl Step<Deps> for AssignDatabase {
    fn name(&self) -> &'static str {
        "assign_database"
    }

    fn crash_points(&self) -> &'static [&'static str] {
        &["after_clone", "after_assign"]
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let wanted = async {
            let row = deps.database(run).await?;
            deps.assignment(run, &row, "").await
        };
        let (assignment, mut lane) = tokio::try_join!(wanted, deps.lane(run))?;
        let fingerprint = assign(deps, run, &mut lane, assignment).await?;
        deps.spares.took_one();
        if fingerprint != deps.bundle.fingerprint() {
            lane.close().await;
            return Ok(Outcome::Advance);
        }
        let ready = record_ready(deps, run, deps.bundle.target());
        let ((), txn) = tokio::join!(lane.close(), ready);
        Ok(Outcome::DoneIn(txn?))
    }
}

/// Answers the fingerprint of the bundle that the database is at.
async fn assign(
    deps: &Deps,
    run: &Run,
    lane: &mut LaneSession,
    assignment: Assignment,
) -> Result<String, StepError> {
    run.check()?;
    if let Some(fingerprint) = take(lane, &candidates(deps, run)?, &assignment).await? {
        return Ok(fingerprint);
    }
    let name = make_spare(deps, run, lane).await?;
    crashpoint!("CreateDatabase.assign_database.after_clone");
    let own = Spare { name, bundle: None };
    take(lane, std::slice::from_ref(&own), &assignment).await?.ok_or_else(|| StepError::Retry {
        reason: "DATABASE_UNAVAILABLE",
        message: format!("database `{}` is in use", own.name),
        source: None,
    })
}

async fn take(
    lane: &mut LaneSession,
    spares: &[Spare],
    assignment: &Assignment,
) -> Result<Option<String>, StepError> {
    let assigned = lane.assign_first(spares, assignment).await.map_err(|error| match error {
        Error::NameTaken { database }
        | Error::Foreign { database }
        | Error::WrongKind { database, .. } => {
            StepError::refuse("DATABASE_EXISTS", format!("database `{database}` exists already"))
        }
        error => failure::postgres(error),
    })?;
    Ok(match assigned {
        Assigned::Nothing => None,
        Assigned::Already(fingerprint) => Some(fingerprint),
        Assigned::Spare(fingerprint) => {
            crashpoint!("CreateDatabase.assign_database.after_assign");
            Some(fingerprint)
        }
    })
}

/// This operation's own spare, if a former attempt made one, and those of the
/// pool, turned round by its id, so that operations that run side by side begin
/// at different ones.
fn candidates(deps: &Deps, run: &Run) -> Result<Vec<Spare>, StepError> {
    let mut pool = names::pool(deps.plane, deps.limits.spares)?;
    if !pool.is_empty() {
        let turn = (run.id().as_u128() % pool.len() as u128) as usize;
        pool.rotate_left(turn);
    }
    let bundle = Some(deps.bundle.fingerprint().to_owned());
    let pool = pool.into_iter().map(|name| Spare { name, bundle: bundle.clone() });
    let own = Spare { name: names::own_spare(run.id())?, bundle: None };
    Ok([own].into_iter().chain(pool).collect())
}

/// A spare of this operation's own: a clone of the template, or an empty
/// database that the next step migrates.
async fn make_spare(
    deps: &Deps,
    run: &Run,
    lane: &mut LaneSession,
) -> Result<DatabaseName, StepError> {
    let own = names::own_spare(run.id())?;
    let fingerprint = deps.bundle.fingerprint();
    let template = names::template(fingerprint, deps.plane)?;
    let ready = deps
        .server
        .database(&template)
        .await
        .map_err(failure::postgres)?
        .is_some_and(|info| !info.allows_connections);
    let fingerprint = if ready { fingerprint } else { "" };
    let mut marker = deps.marker(Kind::Spare, fingerprint);
    marker.operation = Some(run.id().to_string());
    let made = match ready {
        true => lane.clone_template(&template, &own, &marker, Warm::No).await,
        false => lane.create_blank(&own, &marker).await,
    };
    made.map_err(failure::postgres)?;
    Ok(own)
}
