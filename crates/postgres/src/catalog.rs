//! What the server's catalog says about databases and roles.

use std::collections::BTreeSet;

use sqlx::{Row, postgres::PgRow};
use yuantus_domain::DatabaseName;

use crate::{Kind, Marker, Result, Server, identifier::Literal, server::first, session::Doing};

const DATABASES: &str = "SELECT d.datname::text, c.description, d.datallowconn, \
     pg_get_userbyid(d.datdba)::text FROM pg_database d LEFT JOIN pg_shdescription c \
     ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass";

/// The server's sessions, without the joins of `pg_stat_activity`, whose
/// planning takes longer than everything else that is asked here.
pub(crate) const SESSIONS: &str = "pg_stat_get_activity(NULL)";

/// The role that we log in as. What sessions of others are called means nothing.
pub(crate) const OWN_ROLE: &str = "(SELECT oid FROM pg_roles WHERE rolname = session_user)";

/// A database as the catalog has it.
#[derive(Clone, Debug)]
pub struct DatabaseInfo {
    /// Its name.
    pub name: DatabaseName,
    /// Its marker; `None` when nobody, or not we, commented on it.
    pub marker: Option<Marker>,
    /// Whether anybody may connect: false for a sealed template.
    pub allows_connections: bool,
    pub(crate) commented: bool,
    pub(crate) owner: String,
}

impl Server {
    /// A database, if it is there.
    pub async fn database(&self, name: &DatabaseName) -> Result<Option<DatabaseInfo>> {
        let doing = Doing("look up database", name.as_str());
        Ok(self.read_databases(doing, &[name]).await?.pop())
    }

    /// Those of `names` that are there.
    pub async fn databases_named(&self, names: &[DatabaseName]) -> Result<Vec<DatabaseInfo>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let doing = Doing("look up databases like", names[0].as_str());
        self.read_databases(doing, &names.iter().collect::<Vec<_>>()).await
    }

    /// All databases whose names begin so, marked or not, by name.
    pub async fn databases_with_prefix(&self, prefix: &str) -> Result<Vec<DatabaseInfo>> {
        let doing = Doing("list databases that begin with", prefix);
        let sql = format!(
            "{DATABASES} WHERE starts_with(d.datname::text, {}) ORDER BY d.datname",
            Literal(prefix)
        );
        databases(&self.read(doing, sql).await?, doing)
    }

    /// All databases of a kind, of any plane, by name.
    pub async fn databases(&self, kind: Kind) -> Result<Vec<DatabaseInfo>> {
        let doing = Doing("list databases of kind", kind.as_str());
        // Narrows what is read; what the marker says decides.
        let some = Literal(&format!("%{}%", kind.as_str())).to_string();
        let sql = format!("{DATABASES} WHERE c.description LIKE {some} ORDER BY d.datname");
        let rows = self.read(doing, sql).await?;
        let all = rows.iter().filter_map(|row| info(row, doing).transpose());
        let of_kind = |info: &DatabaseInfo| info.marker.as_ref().is_some_and(|m| m.kind == kind);
        all.filter(|info| info.as_ref().map_or(true, of_kind)).collect()
    }

    /// Whether a database is there and takes connections.
    pub async fn is_accepting(&self, name: &DatabaseName) -> Result<bool> {
        Ok(self.database(name).await?.is_some_and(|info| info.allows_connections))
    }

    /// Whether a role is there.
    pub async fn role_exists(&self, role: &str) -> Result<bool> {
        let doing = Doing("look up role", role);
        let sql = format!("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = {})", Literal(role));
        first(&self.read(doing, sql).await?, doing)
    }

    /// The roles that cannot log in and whose names begin so.
    pub(crate) async fn waiting_roles(
        &self,
        prefix: &str,
        doing: Doing<'_>,
    ) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT rolname::text FROM pg_roles \
             WHERE starts_with(rolname::text, {}) AND NOT rolcanlogin",
            Literal(prefix)
        );
        let rows = self.read(doing, sql).await?;
        rows.iter().map(|row| row.try_get(0).map_err(|source| doing.failed(source))).collect()
    }

    /// The names of spare databases that begin so and are not there, though a
    /// role still waits with them.
    pub async fn left_by_roles(&self, prefix: &str) -> Result<Vec<DatabaseName>> {
        let doing = Doing("list waiting roles of", prefix);
        let roles = self.waiting_roles(prefix, doing).await?;
        let spares = roles.iter().filter_map(|role| role.rsplit_once("__"));
        let spares: BTreeSet<DatabaseName> =
            spares.filter_map(|(spare, _)| DatabaseName::parse(spare).ok()).collect();
        let spares: Vec<DatabaseName> = spares.into_iter().collect();
        let there = self.databases_named(&spares).await?;
        let is_there = |spare: &DatabaseName| there.iter().any(|info| info.name == *spare);
        Ok(spares.into_iter().filter(|spare| !is_there(spare)).collect())
    }

    pub(crate) async fn read_databases(
        &self,
        doing: Doing<'_>,
        names: &[&DatabaseName],
    ) -> Result<Vec<DatabaseInfo>> {
        let rows = self.read(doing, select(names)).await?;
        databases(&rows, doing)
    }
}

/// The statement whose rows [`databases`] reads.
pub(crate) fn select(names: &[&DatabaseName]) -> String {
    format!("{DATABASES} WHERE d.datname IN ({})", list(names))
}

/// Names as literals, with commas between.
pub(crate) fn list(names: &[&DatabaseName]) -> String {
    let names: Vec<String> = names.iter().map(|name| Literal(name.as_str()).to_string()).collect();
    names.join(", ")
}

/// Reads rows of [`select`].
pub(crate) fn databases(rows: &[PgRow], doing: Doing<'_>) -> Result<Vec<DatabaseInfo>> {
    rows.iter().filter_map(|row| info(row, doing).transpose()).collect()
}

/// `None` for a database whose name we cannot hold, which is not ours.
fn info(row: &PgRow, doing: Doing<'_>) -> Result<Option<DatabaseInfo>> {
    let read = || -> Result<_, sqlx::Error> {
        let name: String = row.try_get(0)?;
        let comment: Option<String> = row.try_get(1)?;
        let Ok(name) = DatabaseName::parse(&name) else {
            return Ok(None);
        };
        Ok(Some(DatabaseInfo {
            name,
            marker: Marker::read(comment.as_deref()),
            allows_connections: row.try_get(2)?,
            commented: comment.is_some(),
            owner: row.try_get(3)?,
        }))
    };
    read().map_err(|source| doing.failed(source))
}
