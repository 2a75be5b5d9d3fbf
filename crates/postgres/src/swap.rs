//! Putting a restored database in the place of an org's.
//!
//! Invariant: the org's name always leads to one whole database, the former or
//! the new one. Both renames, the rights and the markers are one transaction.
//! What belongs to the database as a whole is carried over before.
//!
//! A rename waits 5 s for the database's sessions to end, and while it waits
//! no session begins. So a second session ends those that live for as long as
//! it waits: a pool that reconnects at once cannot starve it.

use std::time::Duration;

use sqlx::Row;
use tokio::time::sleep;
use yuantus_domain::DatabaseName;

use crate::{
    Assignment, DatabaseInfo, DatabaseSettings, Error, Identifier, Kind, LaneSession, Marker,
    Result, Server,
    adoption::{expect_kind, expect_plane},
    assignment::{Found, Role, expect_same_owner, grants, rename, role_and_rights},
    contents::{
        rights::{is_refusal, sentence},
        settings,
    },
    create::comment,
    identifier::Literal,
    session::Doing,
};

const POLL: Duration = Duration::from_millis(25);

/// What a swap did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// The former database is the tombstone now.
    Replaced,
    /// There was no former database.
    Placed,
    /// A former call of the same operation had done it.
    Already,
}

/// What a role sets for itself, which the plan decides where an org is new.
const TIMEOUT: &str = "statement_timeout=";
/// SQLSTATE of a role that is gone.
const GONE: &[&str] = &["42704"];

impl LaneSession {
    /// Gives `incoming`, a restored database, what the org's present one has as
    /// a whole: its connection limit, what it sets for sessions, rights of
    /// others than the org. Where the org has none, what is `recorded` of the
    /// one that was backed up. Answers a sentence for each statement that this
    /// administrator may not run; roles that are gone are passed over.
    pub async fn carry_settings(
        &mut self,
        incoming: &DatabaseName,
        database: &DatabaseName,
        role: &str,
        recorded: Option<&DatabaseSettings>,
    ) -> Result<Vec<String>> {
        let doing = Doing("carry over the settings of", database.as_str());
        let Some(there) = self.look_up(doing, incoming).await? else {
            return Ok(Vec::new());
        };
        expect_kind(incoming, there.marker.as_ref(), Kind::Restore)?;
        let present = settings::of(&Literal(database.as_str()).to_string());
        let rows = self.run(doing, present).await?;
        let settings = match rows.first() {
            Some(row) => row
                .try_get::<String, _>(0)
                .and_then(|text| {
                    serde_json::from_str(&text)
                        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
                })
                .map_err(|source| doing.failed(source))?,
            None => recorded.cloned().map(|r| planned(r, role)).unwrap_or_default(),
        };
        let mut refused = Vec::new();
        for statement in settings.statements(&Identifier::from(incoming), role)? {
            match self.run(doing, statement.clone()).await {
                Ok(_) => {}
                Err(error) if error.is_sqlstate(GONE) => {}
                Err(error) if is_refusal(&error) => refused.push(sentence(&statement, &error)),
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    /// Renames `incoming` to the org's name, and a database that has the name
    /// to `tombstone`, from which the role is locked out.
    pub async fn swap(
        &mut self,
        incoming: &DatabaseName,
        assignment: &Assignment,
        tombstone: &DatabaseName,
    ) -> Result<Swapped> {
        let doing = Doing("swap in database", assignment.database.as_str());
        let swap = Swap { incoming, assignment, tombstone };
        let outcome = self.swap_in_transaction(doing, &swap).await;
        self.settle(doing, outcome).await
    }

    /// Makes a database that an org has, or had, a tombstone of `operation`, from
    /// which `role` is locked out. One that is one already, or is not there, is
    /// left as it is.
    pub async fn bury(
        &mut self,
        database: &DatabaseName,
        role: &str,
        tombstone: &DatabaseName,
        operation: &str,
        plane: &str,
    ) -> Result<()> {
        let doing = Doing("make a tombstone of database", database.as_str());
        let work = async {
            let found = self.begin(doing, &[database, tombstone], role).await?;
            let sql = match (found.get(database), found.get(tombstone)) {
                (None, _) => "ROLLBACK".to_owned(),
                (Some(_), Some(_)) => {
                    return Err(Error::NameTaken { database: tombstone.to_string() });
                }
                (Some(current), None) => {
                    expect_plane(database, current.marker.as_ref(), plane)?;
                    expect_kind(database, current.marker.as_ref(), Kind::Tenant)?;
                    self.check_claim(current)?;
                    let made =
                        current.marker.as_ref().and_then(|marker| marker.operation.as_deref());
                    if made != Some(operation) {
                        return Err(Error::Foreign { database: database.to_string() });
                    }
                    let locked_out = (found.role != Role::Missing).then_some(role);
                    bury(current, tombstone, Some(operation.to_owned()), locked_out)? + "COMMIT"
                }
            };
            let (server, names) = (self.server.clone(), [database.clone(), tombstone.clone()]);
            tokio::select! {
                biased;
                renamed = self.run(doing, sql) => renamed.map(drop),
                never = end_sessions(&server, &names) => match never {},
            }
        };
        let outcome = work.await;
        self.settle(doing, outcome).await
    }

    async fn swap_in_transaction(&mut self, doing: Doing<'_>, swap: &Swap<'_>) -> Result<Swapped> {
        let names = [swap.incoming, &swap.assignment.database, swap.tombstone];
        let found = self.begin(doing, &names, &swap.assignment.role).await?;
        for database in names.iter().filter_map(|name| found.get(name)) {
            self.check_claim(database)?;
        }
        let assignment =
            Assignment { marker: self.stamped(&swap.assignment.marker), ..swap.assignment.clone() };
        let swap = Swap { assignment: &assignment, ..*swap };
        let carried = self.carried_timeout(doing, &swap).await?;
        let (outcome, sql) = swap.plan(&found, carried)?;
        let server = self.server.clone();
        let names = [swap.incoming.clone(), swap.assignment.database.clone()];
        tokio::select! {
            biased;
            renamed = self.run(doing, sql) => renamed?,
            never = end_sessions(&server, &names) => match never {},
        };
        Ok(outcome)
    }

    /// Whether the org's role has a limit of its own in the database that comes,
    /// or that has come.
    async fn carried_timeout(&mut self, doing: Doing<'_>, swap: &Swap<'_>) -> Result<bool> {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_db_role_setting s \
             JOIN pg_database d ON d.oid = s.setdatabase JOIN pg_roles r ON r.oid = s.setrole \
             WHERE r.rolname = {} AND d.datname = coalesce( \
               (SELECT datname FROM pg_database WHERE datname = {}), {}) \
             AND EXISTS (SELECT FROM unnest(s.setconfig) c WHERE starts_with(c, {})))",
            Literal(&swap.assignment.role),
            Literal(swap.incoming.as_str()),
            Literal(swap.assignment.database.as_str()),
            Literal(TIMEOUT)
        );
        let rows = self.run(doing, sql).await?;
        crate::server::first(&rows, doing)
    }
}

/// What is recorded, without what the plan of the org decides.
fn planned(mut recorded: DatabaseSettings, role: &str) -> DatabaseSettings {
    for (whose, values) in &mut recorded.values {
        if whose.as_deref() == Some(role) {
            values.retain(|value| !value.starts_with(TIMEOUT));
        }
    }
    recorded
}

#[derive(Clone, Copy)]
struct Swap<'a> {
    incoming: &'a DatabaseName,
    assignment: &'a Assignment,
    tombstone: &'a DatabaseName,
}

impl Swap<'_> {
    fn plan(&self, found: &Found, carried: bool) -> Result<(Swapped, String)> {
        let current = found.get(&self.assignment.database);
        let plane = &self.assignment.marker.plane;
        if let Some(current) = current {
            expect_same_owner(current, &self.assignment.marker)?;
        }
        let grants = if carried {
            let database = &self.assignment.database;
            role_and_rights(self.assignment, found.role)?
                + &comment(database, &self.assignment.marker)
        } else {
            grants(self.assignment, found.role)?
        } + "COMMIT";
        let Some(incoming) = found.get(self.incoming) else {
            return match current {
                Some(current) if self.is_done(current) => Ok((Swapped::Already, grants)),
                _ => Err(Error::Missing { database: self.incoming.to_string() }),
            };
        };
        expect_plane(self.incoming, incoming.marker.as_ref(), plane)?;
        expect_kind(self.incoming, incoming.marker.as_ref(), Kind::Restore)?;
        let arrive = rename(self.incoming, &self.assignment.database) + &grants;
        let Some(current) = current else {
            return Ok((Swapped::Placed, arrive));
        };
        if found.get(self.tombstone).is_some() {
            return Err(Error::NameTaken { database: self.tombstone.to_string() });
        }
        let role = (found.role != Role::Missing).then_some(&*self.assignment.role);
        let operation = self.assignment.marker.operation.clone();
        Ok((Swapped::Replaced, bury(current, self.tombstone, operation, role)? + &arrive))
    }

    fn is_done(&self, current: &DatabaseInfo) -> bool {
        let operation = &self.assignment.marker.operation;
        operation.is_some()
            && current.marker.as_ref().is_some_and(|marker| marker.operation == *operation)
    }
}

/// The statements that make `current` the tombstone of an operation, and lock a
/// role out of it.
fn bury(
    current: &DatabaseInfo,
    tombstone: &DatabaseName,
    operation: Option<String>,
    role: Option<&str>,
) -> Result<String> {
    let former = current.marker.clone();
    let former = former.ok_or_else(|| Error::Foreign { database: current.name.to_string() })?;
    let marker = Marker { kind: Kind::Tombstone, operation, ..former };
    let mut sql = rename(&current.name, tombstone);
    if let Some(role) = role {
        let role = Identifier::new(role)?;
        sql += &format!("REVOKE ALL ON DATABASE {} FROM {role}; ", Identifier::from(tombstone));
    }
    Ok(sql + &comment(tombstone, &marker))
}

/// Ends the sessions of databases, again and again until it is dropped. Those
/// without a user are the server's own, which the rename sends away itself.
/// What goes wrong here shows in the rename, which finds the database in use.
async fn end_sessions(server: &Server, names: &[DatabaseName; 2]) -> std::convert::Infallible {
    let [one, two] = names;
    let doing = Doing("end sessions of database", two.as_str());
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname IN ({}, {}) AND pid <> pg_backend_pid() \
         AND usesysid IS NOT NULL",
        Literal(one.as_str()),
        Literal(two.as_str())
    );
    loop {
        if let Err(error) = server.read(doing, sql.clone()).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "sessions not ended");
        }
        sleep(POLL).await;
    }
}
