//! Giving a database to an org: its name, its role, its limits, its marker.
//!
//! Invariant: all of it in one transaction, whose cost does not depend on the
//! schema's size. A tenant's role may connect to its own database alone, and
//! has data rights through the app role only.

use secrecy::SecretString;
use sqlx::Row;
use yuantus_domain::DatabaseName;

use crate::{
    DatabaseInfo, Error, Identifier, Kind, LaneSession, Marker, Result,
    adoption::{expect_kind, expect_plane},
    bootstrap::APP_ROLE,
    catalog::{self, OWN_ROLE, SESSIONS},
    create::comment,
    identifier::Literal,
    marker::WaitingRole,
    scram,
    session::Doing,
};

/// SQLSTATEs of a database that went away, or into use.
const GONE: &[&str] = &["3D000", "55006"];
/// That of a role that went away.
const NO_ROLE: &[&str] = &["42704"];

/// What an org's database is to be.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Its name.
    pub database: DatabaseName,
    /// The role the tenant logs in as.
    pub role: String,
    /// The role's password, but where the role of a spare is taken over. The
    /// server gets a verifier of it.
    pub password: SecretString,
    /// How many connections the role may have.
    pub connection_limit: u32,
    /// After how many seconds the server ends a statement; 0 is never.
    pub statement_timeout_seconds: u32,
    /// The marker of the finished database.
    pub marker: Marker,
    /// The fingerprint of the bundle whose databases an org has from the
    /// assignment on; those of others are migrated first.
    pub ready_at: Option<String>,
}

/// A spare database that may become an org's.
#[derive(Clone, Debug)]
pub struct Spare {
    /// Its name.
    pub name: DatabaseName,
    /// Only if it came from the bundle with this fingerprint; any if `None`.
    pub bundle: Option<String>,
    /// The key that the password of its role must be derived with for the role
    /// to be taken over with it.
    pub role_key: Option<String>,
}

/// How an org came to its database; with the fingerprint of the bundle that
/// the database is at, empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// It is one of the spares.
    Spare {
        /// The fingerprint of the bundle.
        fingerprint: String,
        /// What the role's password is derived from, where the role is the
        /// spare's; otherwise it is the password of the assignment.
        seed: Option<String>,
    },
    /// The same operation had done it before.
    Already(String),
    /// It did not: none of the spares can be had.
    Nothing,
}

/// What is known of the tenant's role before a transaction makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Missing,
    Present,
    /// Only a superuser may change this one, and take it away.
    Superuser,
}

/// What a transaction found when it began.
pub(crate) struct Found {
    databases: Vec<DatabaseInfo>,
    pub(crate) role: Role,
    busy: Vec<String>,
}

impl Found {
    pub(crate) fn get(&self, name: &DatabaseName) -> Option<&DatabaseInfo> {
        self.databases.iter().find(|info| info.name == *name)
    }

    fn is_busy(&self, name: &DatabaseName) -> bool {
        self.busy.iter().any(|busy| busy == name.as_str())
    }

    /// The marker of a spare of the plane of `marker` that nobody uses.
    fn spare(&self, name: &DatabaseName, marker: &Marker) -> Option<&Marker> {
        let found = self.get(name).filter(|_| !self.is_busy(name))?.marker.as_ref()?;
        (found.kind == Kind::Spare && found.plane == marker.plane).then_some(found)
    }
}

/// The transaction that assigns, begun: what it may take, and what it saw.
pub(crate) struct Look {
    spares: Vec<Spare>,
    found: Found,
}

impl LaneSession {
    /// Makes the first of `spares` that can be had the org's database, and
    /// gives its marker the bundle of the spare. Refuses a database that has
    /// the name but was not made by the marker's operation.
    pub async fn assign_first(
        &mut self,
        spares: Vec<Spare>,
        assignment: &Assignment,
    ) -> Result<Assigned> {
        self.look(spares, &assignment.database, &assignment.role).await?;
        self.assign(assignment).await
    }

    /// The first half of [`Self::assign_first`]: begins its transaction and
    /// looks, while the caller finds out the rest. Changes nothing.
    pub async fn look(
        &mut self,
        spares: Vec<Spare>,
        database: &DatabaseName,
        role: &str,
    ) -> Result<()> {
        let doing = Doing("look for database", database.as_str());
        let names: Vec<_> = spares.iter().map(|spare| &spare.name).chain([database]).collect();
        let found = self.begin(doing, &names, role).await;
        let found = self.settle(doing, found).await?;
        self.looked = Some(Look { spares, found });
        Ok(())
    }

    /// The second half: takes one of what was looked at.
    pub async fn assign(&mut self, assignment: &Assignment) -> Result<Assigned> {
        let doing = Doing("assign database", assignment.database.as_str());
        while let Some(Look { mut spares, found }) = self.looked.take() {
            let outcome = self.assign_found(doing, &mut spares, &found, assignment).await;
            match self.settle(doing, outcome).await {
                // It went away, or into use, since it was looked at.
                Err(error) if is_gone(&error) && !spares.is_empty() => {
                    self.look(spares, &assignment.database, &assignment.role).await?;
                }
                Err(error) if is_gone(&error) => {}
                outcome => return outcome,
            }
        }
        Ok(Assigned::Nothing)
    }

    /// Takes the spares that it tries out of `spares`.
    async fn assign_found(
        &mut self,
        doing: Doing<'_>,
        spares: &mut Vec<Spare>,
        found: &Found,
        assignment: &Assignment,
    ) -> Result<Assigned> {
        if let Some(present) = found.get(&assignment.database) {
            expect_same_owner(present, &assignment.marker)?;
            self.check_claim(present)?;
            let marker = present.marker.as_ref();
            let marker = marker.filter(|m| m.operation == assignment.marker.operation);
            let Some(marker) = marker else {
                return Err(Error::NameTaken { database: present.name.to_string() });
            };
            let fingerprint = marker.fingerprint.clone();
            let in_use = marker.in_use || assignment.ready_at.as_ref() == Some(&fingerprint);
            let marker = self.stamped(&Marker { in_use, ..marker.clone() });
            let sql = grants(&Assignment { marker, ..assignment.clone() }, found.role)? + "COMMIT";
            return self.run(doing, sql).await.map(|_| Assigned::Already(fingerprint));
        }
        while !spares.is_empty() {
            let spare = spares.remove(0);
            let Some(marker) = found.spare(&spare.name, &assignment.marker) else { continue };
            if spare.bundle.as_ref().is_some_and(|bundle| *bundle != marker.fingerprint) {
                continue;
            }
            let fingerprint = marker.fingerprint.clone();
            let mut assignment = assignment.clone();
            assignment.marker = self.stamped(&assignment.marker);
            assignment.marker.in_use = assignment.ready_at.as_ref() == Some(&fingerprint);
            assignment.marker.fingerprint.clone_from(&fingerprint);
            let of_key = |role: &&WaitingRole| Some(&role.key) == spare.role_key.as_ref();
            let fits = marker.role.as_ref().filter(of_key);
            let seed = fits.filter(|_| found.role == Role::Missing).map(|role| role.seed.clone());
            let waiting = marker.role.as_ref().map(|role| role.name(&spare.name)).transpose()?;
            let role = match &waiting {
                Some(waiting) if seed.is_some() => take_over(waiting, &assignment)?,
                Some(waiting) => {
                    drop_waiting(waiting, &assignment.database) + &grants(&assignment, found.role)?
                }
                None => grants(&assignment, found.role)?,
            };
            let sql = rename(&spare.name, &assignment.database) + &role + "COMMIT";
            return match self.run(doing, sql).await {
                // Another database has its name by now, with another role.
                Err(error) if waiting.is_some() && error.is_sqlstate(NO_ROLE) => {
                    Err(Error::Missing { database: spare.name.to_string() })
                }
                outcome => outcome.map(|_| Assigned::Spare { fingerprint, seed }),
            };
        }
        self.run(doing, "ROLLBACK".into()).await.map(|_| Assigned::Nothing)
    }

    /// Begins the transaction and looks at everything it depends on. Sessions
    /// of this lane do not count: they are ending, and the rename waits.
    pub(crate) async fn begin(
        &mut self,
        doing: Doing<'_>,
        names: &[&DatabaseName],
        role: &str,
    ) -> Result<Found> {
        let sql = format!(
            "BEGIN; {}; SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = {}), \
             array(SELECT DISTINCT d.datname::text FROM {SESSIONS} s \
               JOIN pg_database d ON d.oid = s.datid \
               WHERE d.datname IN ({}) AND s.usesysid IS NOT NULL \
               AND NOT (starts_with(coalesce(s.application_name, ''), '{}') \
                 AND s.usesysid = {OWN_ROLE}))",
            catalog::select(names),
            Literal(role),
            catalog::list(names),
            self.tag().prefix()
        );
        let mut rows = self.run(doing, sql).await?;
        let failed = |source| doing.failed(source);
        let last = rows.pop().ok_or_else(|| failed(sqlx::Error::RowNotFound))?;
        Ok(Found {
            databases: catalog::databases(&rows, doing)?,
            role: match last.try_get::<Option<bool>, _>(0).map_err(failed)? {
                None => Role::Missing,
                Some(false) => Role::Present,
                Some(true) => Role::Superuser,
            },
            busy: last.try_get(1).map_err(failed)?,
        })
    }
}

pub(crate) fn rename(from: &DatabaseName, to: &DatabaseName) -> String {
    format!("ALTER DATABASE {} RENAME TO {}; ", Identifier::from(from), Identifier::from(to))
}

/// Whether what was looked at is not what it was.
fn is_gone(error: &Error) -> bool {
    error.is_sqlstate(GONE) || matches!(error, Error::Missing { .. })
}

/// The statements that make the role that waits with a spare the org's.
fn take_over(waiting: &Identifier, assignment: &Assignment) -> Result<String> {
    let role = Identifier::new(&assignment.role)?;
    Ok(format!(
        "ALTER ROLE {waiting} RENAME TO {role}; ALTER ROLE {role} LOGIN CONNECTION LIMIT {}; {}",
        assignment.connection_limit,
        limits(assignment)?
    ))
}

/// The statements that drop the role that waited with what is the org's
/// database by now.
fn drop_waiting(waiting: &Identifier, database: &DatabaseName) -> String {
    let database = Identifier::from(database);
    format!("REVOKE ALL ON DATABASE {database} FROM {waiting}; DROP ROLE {waiting}; ")
}

/// The statements that make role, rights, limits and marker what they are to be.
pub(crate) fn grants(assignment: &Assignment, found: Role) -> Result<String> {
    Ok(role_and_rights(assignment, found)? + &limits(assignment)?)
}

/// The statements that make role and rights what they are to be.
pub(crate) fn role_and_rights(assignment: &Assignment, found: Role) -> Result<String> {
    let role = Identifier::new(&assignment.role)?;
    let database = Identifier::from(&assignment.database);
    let limit = assignment.connection_limit;
    let (make, join) = match found {
        Role::Missing => ("CREATE ROLE", String::new()),
        Role::Present | Role::Superuser => ("ALTER ROLE", format!("GRANT {APP_ROLE} TO {role}; ")),
    };
    let extra = match found {
        Role::Missing => format!(" IN ROLE {APP_ROLE}"),
        Role::Present => String::new(),
        Role::Superuser => " NOSUPERUSER".to_owned(),
    };
    Ok(format!(
        "{make} {role} LOGIN NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT {limit} \
         PASSWORD {}{extra}; {join}\
         GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}; ",
        Literal(&scram::verifier(&assignment.password))
    ))
}

/// The statements that limit the role in its database, and mark that.
fn limits(assignment: &Assignment) -> Result<String> {
    let role = Identifier::new(&assignment.role)?;
    let database = Identifier::from(&assignment.database);
    let timeout = assignment.statement_timeout_seconds;
    Ok(format!(
        "ALTER ROLE {role} IN DATABASE {database} SET statement_timeout = '{timeout}s'; {}",
        comment(&assignment.database, &assignment.marker)
    ))
}

/// A database that has the org's name must be the org's.
pub(crate) fn expect_same_owner(present: &DatabaseInfo, marker: &Marker) -> Result<()> {
    let found = present.marker.as_ref();
    expect_plane(&present.name, found, &marker.plane)?;
    expect_kind(&present.name, found, Kind::Tenant)?;
    match found {
        Some(found) if found.owner == marker.owner => Ok(()),
        _ => Err(Error::NameTaken { database: present.name.to_string() }),
    }
}
