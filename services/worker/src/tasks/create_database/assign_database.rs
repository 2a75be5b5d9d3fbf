//! Gives a spare database its name, role and password; makes one where there
//! is none. One that came from the template of this bundle is ready with that.

use async_trait::async_trait;
use yuantus_domain::DatabaseName;
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult, crashpoint};
use yuantus_postgres::{Assignment, DatabaseInfo, Kind, LaneSession, Warm};

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
        let (there, spares) = look(deps, run, &mut lane, &assignment.database).await?;
        let fingerprint = match there {
            None => assign(deps, run, &mut lane, assignment, spares).await?,
            Some(info) => match info.marker {
                Some(marker) if marker.operation == assignment.marker.operation => {
                    let assignment = Assignment { marker, ..assignment };
                    lane.ensure_assigned(&assignment).await.map_err(failure::postgres)?;
                    assignment.marker.fingerprint
                }
                _ => {
                    let message = format!("database `{}` exists already", assignment.database);
                    return Err(StepError::refuse("DATABASE_EXISTS", message));
                }
            },
        };
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
    mut assignment: Assignment,
    spares: Vec<(DatabaseName, String)>,
) -> Result<String, StepError> {
    for (spare, fingerprint) in spares {
        run.check()?;
        assignment.marker.fingerprint = fingerprint;
        if lane.assign(&spare, &assignment).await.map_err(failure::postgres)? {
            crashpoint!("CreateDatabase.assign_database.after_assign");
            return Ok(assignment.marker.fingerprint);
        }
    }
    let (own, fingerprint) = make_spare(deps, run, lane).await?;
    crashpoint!("CreateDatabase.assign_database.after_clone");
    assignment.marker.fingerprint = fingerprint;
    if lane.assign(&own, &assignment).await.map_err(failure::postgres)? {
        crashpoint!("CreateDatabase.assign_database.after_assign");
        return Ok(assignment.marker.fingerprint);
    }
    Err(StepError::Retry {
        reason: "DATABASE_UNAVAILABLE",
        message: format!("database `{own}` is in use"),
        source: None,
    })
}

/// The database that has the org's name, if it is there, and the spare ones
/// with their bundle's fingerprint, this operation's own first; the others
/// turned round by its id, so that operations that run side by side begin at
/// different ones.
async fn look(
    deps: &Deps,
    run: &Run,
    lane: &mut LaneSession,
    name: &DatabaseName,
) -> Result<(Option<DatabaseInfo>, Vec<(DatabaseName, String)>), StepError> {
    let own = names::own_spare(run.id())?;
    let pool = names::pool(deps.plane, deps.limits.spares)?;
    let wanted: Vec<_> = pool.iter().chain([&own, name]).collect();
    let mut found = lane.databases_named(&wanted).await.map_err(failure::postgres)?;
    let there = found.iter().position(|info| info.name == *name);
    let there = there.map(|index| found.remove(index));
    let mut spares: Vec<_> = found
        .into_iter()
        .filter_map(|info| Some((info.name, info.marker?)))
        .filter(|(name, marker)| *name == own || marker.fingerprint == deps.bundle.fingerprint())
        .map(|(name, marker)| (name, marker.fingerprint))
        .collect();
    if !spares.is_empty() {
        let turn = (run.id().as_u128() % spares.len() as u128) as usize;
        spares.rotate_left(turn);
    }
    spares.sort_by_key(|(name, _)| *name != own);
    Ok((there, spares))
}

/// A spare of this operation's own: a clone of the template, or an empty
/// database that the next step migrates.
async fn make_spare(
    deps: &Deps,
    run: &Run,
    lane: &mut LaneSession,
) -> Result<(DatabaseName, String), StepError> {
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
    Ok((own, fingerprint.to_owned()))
}
