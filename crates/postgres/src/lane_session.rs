//! The one session that changes a lane's databases.
//!
//! Invariant: while a lane session is open, no session or child process of an
//! earlier holder lives, and none gets the lane. What a frozen worker started
//! is ended when its successor opens the lane, so its statements fail.
//!
//! A frozen worker may wake when its successor has already closed the lane.
//! Callers therefore open the lane first, **then** see that their lease still
//! holds, then act: whoever takes the lease over afterwards ends them here.

use std::time::Duration;

use sqlx::{Row, postgres::PgRow};
use tokio::time::{Instant, sleep};

use crate::{
    ClaimStamp, DatabaseInfo, Error, LaneTag, Marker, Result, Server,
    assignment::Look,
    catalog::{OWN_ROLE, SESSIONS},
    session::{Doing, LONG, SHORT, Session},
};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A session of the maintenance database that holds a lane.
pub struct LaneSession {
    pub(crate) server: Server,
    pub(crate) session: Session,
    tag: LaneTag,
    usable: bool,
    /// The claim that works here, where it is an operation's.
    claim: Option<ClaimStamp>,
    /// A transaction is open that has only looked.
    pub(crate) looked: Option<Look>,
}

impl Server {
    /// Takes a lane: ends what earlier epochs left running, then takes the
    /// lane's lock, for at most 30 s. [`Error::Superseded`] when a later epoch
    /// is at work.
    pub async fn open_lane(&self, lane: &str, epoch: i64) -> Result<LaneSession> {
        let tag = LaneTag::new(&self.plane, lane, epoch);
        let doing = Doing("take lane", lane);
        let sql = take(&tag);
        let (mut session, mut rows) = self.begin(doing, &sql, SHORT).await?;
        let until = Instant::now() + PATIENCE;
        while !holds(&tag, &rows, doing)? {
            if Instant::now() >= until {
                return Err(Error::LaneBusy { lane: lane.to_owned() });
            }
            sleep(POLL).await;
            rows = session.run(doing, sql.clone(), SHORT).await?;
        }
        Ok(LaneSession {
            server: self.clone(),
            session,
            tag,
            usable: true,
            claim: None,
            looked: None,
        })
    }
}

impl LaneSession {
    /// The same lane, held by this claim: databases that it makes or changes
    /// remember it, and those that remember a later one are left alone.
    pub fn claimed(self, claim: ClaimStamp) -> Self {
        Self { claim: Some(claim), ..self }
    }

    /// The marker as this claim writes it.
    pub(crate) fn stamped(&self, marker: &Marker) -> Marker {
        let claim = self.claim.clone().or_else(|| marker.claim.clone());
        Marker { claim, ..marker.clone() }
    }

    /// Refuses a database that remembers a claim which this one does not follow.
    pub(crate) fn check_claim(&self, found: &DatabaseInfo) -> Result<()> {
        let newest = found.marker.as_ref().and_then(|marker| marker.claim.as_ref());
        match (&self.claim, newest) {
            (Some(claim), Some(newest)) if !claim.follows(Some(newest)) => Err(Error::Behind {
                database: found.name.to_string(),
                epoch: claim.epoch,
                newest: newest.epoch,
            }),
            _ => Ok(()),
        }
    }
}

impl LaneSession {
    /// What every connection and child of this holder is called.
    pub fn tag(&self) -> &LaneTag {
        &self.tag
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Gives the lane back. Dropping the session does so too, a little later.
    pub async fn close(mut self) {
        let give_back = "SELECT pg_advisory_unlock_all(); RESET ALL".to_owned();
        let clean = self.usable && self.looked.is_none() && self.session.is_clean();
        let doing = Doing("give back lane", self.tag.lane());
        if clean && self.session.run(doing, give_back, SHORT).await.is_ok() {
            self.server.keep(self.session);
        } else {
            self.session.close().await;
        }
    }

    /// As [`Self::close`], but nobody waits for it: who takes the lane next
    /// ends what is left of this holder.
    pub fn close_soon(self) {
        let closing = self.server.closing.clone();
        closing.spawn(self.close());
    }

    /// Runs a statement that is no transaction block.
    pub(crate) async fn run(&mut self, doing: Doing<'_>, sql: String) -> Result<Vec<PgRow>> {
        self.run_within(doing, sql, LONG).await
    }

    pub(crate) async fn run_within(
        &mut self,
        doing: Doing<'_>,
        sql: String,
        limit: Duration,
    ) -> Result<Vec<PgRow>> {
        self.enter()?;
        let outcome = self.session.run(doing, sql, limit).await;
        // An answered error leaves the session in a known state.
        self.usable = match &outcome {
            Ok(_) => true,
            Err(Error::Statement { source, .. }) => source.as_database_error().is_some(),
            Err(_) => false,
        };
        outcome
    }

    /// Ends the transaction that `outcome` left open, and returns the outcome.
    pub(crate) async fn settle<T>(&mut self, doing: Doing<'_>, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() && self.usable {
            self.usable = false;
            self.usable = self.session.roll_back(doing).await.is_ok();
        }
        outcome
    }

    /// Until the statement is answered, the session counts as unusable: its
    /// future may be dropped.
    fn enter(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.usable, false) {
            return Err(Error::Interrupted { lane: self.tag.lane().to_owned() });
        }
        Ok(())
    }
}

/// One round trip: take the name, end earlier holders and wait for their end,
/// try the lock. Holders log in as the administrator, as we do: whatever
/// anybody else calls a session of theirs means nothing.
fn take(tag: &LaneTag) -> String {
    let (prefix, epoch, key) = (tag.prefix(), tag.epoch(), tag.key());
    format!(
        "SET application_name = '{tag}'; \
         WITH lane AS MATERIALIZED ( \
           SELECT pid, split_part(application_name, ':', 3)::bigint AS epoch \
           FROM {SESSIONS} \
           WHERE application_name ~ '^{prefix}[0-9]{{1,18}}$' AND pid <> pg_backend_pid() \
           AND usesysid = {OWN_ROLE}), \
         ended AS MATERIALIZED ( \
           SELECT pg_terminate_backend(pid, 5000) AS gone FROM lane WHERE epoch < {epoch}) \
         SELECT (SELECT max(epoch) FROM lane), (SELECT coalesce(bool_and(gone), true) FROM ended); \
         SELECT NULL::bigint, pg_try_advisory_lock({key})"
    )
}

/// Reads the rows of [`take`]: whether the lane is ours.
fn holds(tag: &LaneTag, rows: &[PgRow], doing: Doing<'_>) -> Result<bool> {
    let failed = |source| doing.failed(source);
    let [others, lock] = rows else {
        return Err(failed(sqlx::Error::RowNotFound));
    };
    let newest: Option<i64> = others.try_get(0).map_err(failed)?;
    if let Some(newest) = newest.filter(|newest| *newest > tag.epoch()) {
        let lane = tag.lane().to_owned();
        return Err(Error::Superseded { lane, epoch: tag.epoch(), newest });
    }
    let ended: bool = others.try_get(1).map_err(failed)?;
    let locked: bool = lock.try_get(1).map_err(failed)?;
    Ok(ended && locked)
}
