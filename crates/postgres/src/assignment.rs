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
    catalog,
    create::comment,
    identifier::Literal,
    scram,
    session::Doing,
};

/// What an org's database is to be.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Its name.
    pub database: DatabaseName,
    /// The role the tenant logs in as.
    pub role: String,
    /// The role's password; the server gets a verifier of it.
    pub password: SecretString,
    /// How many connections the role may have.
    pub connection_limit: u32,
    /// After how many seconds the server ends a statement; 0 is never.
    pub statement_timeout_seconds: u32,
    /// The marker of the finished database.
    pub marker: Marker,
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
    busy: bool,
}

impl Found {
    pub(crate) fn get(&self, name: &DatabaseName) -> Option<&DatabaseInfo> {
        self.databases.iter().find(|info| info.name == *name)
    }
}

impl LaneSession {
    /// Makes a spare the org's database. `false` when the spare is gone or in
    /// use: take another. A database that has the name already is converged
    /// if it has the same owner, and the spare is left alone.
    pub async fn assign(&mut self, spare: &DatabaseName, assignment: &Assignment) -> Result<bool> {
        let doing = Doing("assign database", assignment.database.as_str());
        let verifier = scram::verifier(&assignment.password);
        let outcome = self.assign_in_transaction(doing, spare, assignment, &verifier).await;
        match self.settle(doing, outcome).await {
            Err(error) if error.is_sqlstate(&["3D000", "55006"]) => Ok(false),
            outcome => outcome,
        }
    }

    /// Converges the role, the rights, the limits and the marker of a database
    /// that has its name already.
    pub async fn ensure_assigned(&mut self, assignment: &Assignment) -> Result<()> {
        let doing = Doing("assign database", assignment.database.as_str());
        let verifier = scram::verifier(&assignment.password);
        let outcome = self.ensure_in_transaction(doing, assignment, &verifier).await;
        self.settle(doing, outcome).await
    }

    async fn assign_in_transaction(
        &mut self,
        doing: Doing<'_>,
        spare: &DatabaseName,
        assignment: &Assignment,
        verifier: &str,
    ) -> Result<bool> {
        let found = self.begin(doing, &[spare, &assignment.database], assignment).await?;
        if let Some(present) = found.get(&assignment.database) {
            expect_same_owner(present, &assignment.marker)?;
            let sql = grants(assignment, verifier, found.role)? + "COMMIT";
            return self.run(doing, sql).await.map(|_| true);
        }
        match found.get(spare) {
            Some(_) if found.busy => {
                return self.run(doing, "ROLLBACK".into()).await.map(|_| false);
            }
            None => return self.run(doing, "ROLLBACK".into()).await.map(|_| false),
            Some(info) => {
                expect_plane(spare, info.marker.as_ref(), &assignment.marker.plane)?;
                expect_kind(spare, info.marker.as_ref(), Kind::Spare)?;
            }
        }
        let sql = rename(spare, &assignment.database)
            + &grants(assignment, verifier, found.role)?
            + "COMMIT";
        self.run(doing, sql).await.map(|_| true)
    }

    async fn ensure_in_transaction(
        &mut self,
        doing: Doing<'_>,
        assignment: &Assignment,
        verifier: &str,
    ) -> Result<()> {
        let name = &assignment.database;
        let found = self.begin(doing, &[name], assignment).await?;
        let present =
            found.get(name).ok_or_else(|| Error::Missing { database: name.to_string() })?;
        expect_same_owner(present, &assignment.marker)?;
        let sql = grants(assignment, verifier, found.role)? + "COMMIT";
        self.run(doing, sql).await.map(drop)
    }

    /// Begins the transaction and looks at everything it depends on. Whether
    /// there are sessions is asked about the first database only; those of
    /// this lane are ending and waited for by the rename.
    pub(crate) async fn begin(
        &mut self,
        doing: Doing<'_>,
        names: &[&DatabaseName],
        assignment: &Assignment,
    ) -> Result<Found> {
        let first = names.first().map(|name| name.as_str()).unwrap_or_default();
        let sql = format!(
            "BEGIN; {}; SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = {}), \
             EXISTS (SELECT FROM pg_stat_activity \
               WHERE datname = {} AND usesysid IS NOT NULL \
               AND NOT starts_with(coalesce(application_name, ''), '{}'))",
            catalog::select(names),
            Literal(&assignment.role),
            Literal(first),
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

/// The statements that make role, rights, limits and marker what they are to be.
pub(crate) fn grants(assignment: &Assignment, verifier: &str, found: Role) -> Result<String> {
    let role = Identifier::new(&assignment.role)?;
    let database = Identifier::from(&assignment.database);
    let limit = assignment.connection_limit;
    let timeout = assignment.statement_timeout_seconds;
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
         GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}; \
         ALTER ROLE {role} IN DATABASE {database} SET statement_timeout = '{timeout}s'; {}",
        Literal(verifier),
        comment(&assignment.database, &assignment.marker)
    ))
}

/// A database that has the org's name must be the org's.
fn expect_same_owner(present: &DatabaseInfo, marker: &Marker) -> Result<()> {
    let found = present.marker.as_ref();
    expect_plane(&present.name, found, &marker.plane)?;
    expect_kind(&present.name, found, Kind::Tenant)?;
    match found {
        Some(found) if found.owner == marker.owner => Ok(()),
        _ => Err(Error::NameTaken { database: present.name.to_string() }),
    }
}
