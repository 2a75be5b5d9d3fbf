//! The two group roles that every tenant database rests on, and the databases
//! that come with the server, which tenants' roles have no business in.
//!
//! Invariant: nobody logs in as either. `yuantus_tenant_owner` owns databases
//! and their objects, and migrations run as it; a tenant's own role is a
//! member of `yuantus_tenant_app`, to which data rights are granted.

use sqlx::{Row, postgres::PgRow};

use crate::{
    Identifier, Result, Server,
    session::{Doing, SHORT, Session},
};

/// Owns the databases and all that is in them.
pub const OWNER_ROLE: &str = "yuantus_tenant_owner";
/// Has the data rights; tenants' roles are members.
pub const APP_ROLE: &str = "yuantus_tenant_app";

/// Several control planes may start at once, and roles are shared between
/// databases while advisory locks are not: the loser of a race tries again.
const ATTEMPTS: u32 = 5;
const RACES: &[&str] = &["23505", "42710", "40001", "40P01", "XX000"];

/// Serialises bootstraps that share a maintenance database, then looks.
const LOOK: &str = "BEGIN; SELECT pg_advisory_xact_lock(7910, 1); \
     SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'yuantus_tenant_owner'), \
       EXISTS (SELECT FROM pg_roles WHERE rolname = 'yuantus_tenant_app'), \
       pg_has_role(current_user, (SELECT oid FROM pg_roles \
         WHERE rolname = 'yuantus_tenant_owner'), 'USAGE'), \
       array(SELECT d.datname::text FROM pg_database d \
         WHERE d.datname IN (current_database(), 'postgres', 'template1') \
         AND pg_has_role(current_user, d.datdba, 'USAGE') \
         AND EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) \
           WHERE grantee = 0 AND privilege_type = 'CONNECT')), \
       array(SELECT rolname::text FROM pg_roles \
         WHERE rolcanlogin AND NOT rolsuper AND (rolcreatedb OR rolcreaterole))";

impl Server {
    /// Makes the group roles and the administrator a member of the owner, and
    /// takes from the public the right to connect to the maintenance database,
    /// `postgres` and `template1`, as far as the administrator owns them. Roles
    /// that make databases or roles keep it.
    /// Idempotent, and safe when several do it at once.
    pub async fn bootstrap(&self) -> Result<()> {
        let doing = Doing("make the tenant roles on", self.host());
        let mut attempt = 1;
        loop {
            match self.bootstrap_once(doing).await {
                Err(error) if error.is_sqlstate(RACES) && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn bootstrap_once(&self, doing: Doing<'_>) -> Result<()> {
        let mut session = Session::new(self.connect(&self.options(None)).await?);
        let rows = session.run(doing, LOOK.to_owned(), SHORT).await?;
        let sql = missing(&rows, doing, self.user())? + "COMMIT";
        session.run(doing, sql, SHORT).await?;
        self.keep(session);
        Ok(())
    }
}

/// The statements that are still needed.
fn missing(rows: &[PgRow], doing: Doing<'_>, user: &str) -> Result<String> {
    let row = rows.last().ok_or_else(|| doing.failed(sqlx::Error::RowNotFound))?;
    let failed = |source| doing.failed(source);
    let read = |column: usize| -> Result<bool> {
        Ok(row.try_get::<Option<bool>, _>(column).map_err(failed)?.unwrap_or_default())
    };
    let mut sql = String::new();
    for (column, role) in [OWNER_ROLE, APP_ROLE].into_iter().enumerate() {
        if !read(column)? {
            sql += &format!("CREATE ROLE {role} NOLOGIN; ");
        }
    }
    if !read(2)? {
        sql += &format!("GRANT {OWNER_ROLE} TO {}; ", Identifier::new(user)?);
    }
    let names = |column: usize| row.try_get::<Vec<String>, _>(column).map_err(failed);
    for open in names(3)? {
        let open = Identifier::new(&open)?;
        for administrator in names(4)? {
            let administrator = Identifier::new(&administrator)?;
            sql += &format!("GRANT CONNECT ON DATABASE {open} TO {administrator}; ");
        }
        sql += &format!("REVOKE CONNECT ON DATABASE {open} FROM PUBLIC; ");
    }
    Ok(sql)
}
