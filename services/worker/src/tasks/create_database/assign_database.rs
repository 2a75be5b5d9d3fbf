//! Gives a spare database its name and role; makes one where there is none. One
//! that came from the template of this bundle is ready with that.
//!
//! Invariant: the password that is recorded when the org is ready is the
//! role's. That of a role which waited with its spare is recorded in the
//! statement that says so. Should that not come about, the next attempt finds
//! the database assigned, and gives the role the password of the record.

use async_trait::async_trait;
use yuantus_domain::DatabaseName;
use yuantus_identity::entity::database;
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult, crashpoint};
use yuantus_postgres::{Ahead, Assigned, Assignment, Error, Kind, LaneSession, Spare};

use super::ready;
use crate::{Deps, deps::stamp, failure, names, space};

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
        let lane = deps.open_lane(run.lane(), run.epoch());
        let wanted = deps.wanted(run);
        let ((row, plan), lane) = tokio::try_join!(wanted, lane)?;
        let mut lane = lane.claimed(stamp(run));
        let assignment = deps.assignment(run, &row, plan, "")?;
        // Once the lane is taken these may go on side by side: looking changes
        // nothing.
        let looked = look(&mut lane, candidates(deps, run)?, &row);
        tokio::try_join!(looked, run.confirm())?;
        run.check()?;
        let Taken { fingerprint, seed } = match take(&mut lane, &assignment).await? {
            Some(taken) => taken,
            None => make_own(deps, run, &mut lane, &row, &assignment).await?,
        };
        let seal = |seed: String| deps.sealed_password(run.key(), &row, &seed);
        let password = seed.map(seal).transpose()?;
        deps.spares.took_one();
        if fingerprint == deps.bundle.fingerprint() {
            lane.close_soon();
            return Ok(ready(deps, run, deps.bundle.target(), password));
        }
        lane.close().await;
        Ok(Outcome::Advance)
    }
}

/// What an org's database was before.
struct Taken {
    /// Of the bundle that it is at.
    fingerprint: String,
    /// What the password of its role is derived from; of those of this bundle only.
    seed: Option<String>,
}

async fn look(
    lane: &mut LaneSession,
    spares: Vec<Spare>,
    row: &database::Model,
) -> Result<(), StepError> {
    let database = crate::deps::name(&row.name)?;
    lane.look(spares, &database, &row.role).await.map_err(failure::postgres)
}

/// Takes one of what was looked at; none if there is nothing to take.
async fn take(lane: &mut LaneSession, assignment: &Assignment) -> Result<Option<Taken>, StepError> {
    let assigned = lane.assign(assignment).await.map_err(|error| match error {
        Error::NameTaken { database }
        | Error::Foreign { database }
        | Error::WrongKind { database, .. } => {
            StepError::refuse("DATABASE_EXISTS", format!("database `{database}` exists already"))
        }
        error => failure::postgres(error),
    })?;
    Ok(match assigned {
        Assigned::Nothing => None,
        Assigned::Already(fingerprint) => Some(Taken { fingerprint, seed: None }),
        Assigned::Spare { fingerprint, seed } => {
            crashpoint!("CreateDatabase.assign_database.after_assign");
            Some(Taken { fingerprint, seed })
        }
    })
}

/// Makes a database where there is no spare, and takes it.
async fn make_own(
    deps: &Deps,
    run: &Run,
    lane: &mut LaneSession,
    row: &database::Model,
    assignment: &Assignment,
) -> Result<Taken, StepError> {
    let name = make_spare(deps, run, lane).await?;
    crashpoint!("CreateDatabase.assign_database.after_clone");
    look(lane, vec![Spare { name: name.clone(), bundle: None, role_key: None }], row).await?;
    take(lane, assignment).await?.ok_or_else(|| StepError::Retry {
        reason: "DATABASE_UNAVAILABLE",
        message: format!("database `{name}` is in use"),
        source: None,
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
    let key = Some(deps.derived.key_name());
    let pool = pool.into_iter();
    let pool = pool.map(|name| Spare { name, bundle: bundle.clone(), role_key: key.clone() });
    let own = Spare { name: names::own_spare(run.id())?, bundle: None, role_key: None };
    Ok([own].into_iter().chain(pool).collect())
}

/// A spare of this operation's own: a clone of the template, or an empty
/// database that the next step migrates.
async fn make_spare(
    deps: &Deps,
    run: &Run,
    lane: &mut LaneSession,
) -> Result<DatabaseName, StepError> {
    space::require(deps, &format!("making the database of `{}`", run.key()), 0).await?;
    let own = names::own_spare(run.id())?;
    let fingerprint = deps.bundle.fingerprint();
    let template = names::template(fingerprint, deps.plane)?;
    let ready = deps
        .server
        .database(&template)
        .await
        .map_err(failure::postgres)?
        .is_some_and(|info| !info.allows_connections)
        // The loop that keeps spare databases builds it anew.
        && !crate::loops::is_stale(deps, &template).await?;
    let fingerprint = if ready { fingerprint } else { "" };
    let mut marker = deps.marker(Kind::Spare, fingerprint);
    marker.operation = Some(run.id().to_string());
    let made = match ready {
        true => lane.clone_template(&template, &own, &marker, Ahead::Nothing).await,
        false => lane.create_blank(&own, &marker).await,
    };
    made.map_err(failure::postgres)?;
    Ok(own)
}
