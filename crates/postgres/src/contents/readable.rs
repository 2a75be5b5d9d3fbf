//! Whether this administrator can dump all that is in a database and give it
//! back to whom it belongs, asked before anything is dumped.
//!
//! Invariant: what stands in the way is named with what to do about it; a dump
//! never fails half-way for want of a right that could have been named.

use std::collections::BTreeSet;

use sqlx::Row;

use super::Contents;
use crate::{
    Error, Identifier, Result,
    bootstrap::OWNER_ROLE,
    identifier::Literal,
    session::{Doing, SHORT, Session},
};

/// How many objects a message names.
const NAMED: usize = 5;

/// Row-level security that is forced on the owner hides rows from its members
/// too; that of other owners never comes so far.
const HIDDEN: &str = "SELECT c.oid::regclass::text FROM pg_class c, pg_roles r \
     WHERE r.rolname = current_user AND NOT r.rolsuper AND NOT r.rolbypassrls \
     AND c.relkind IN ('r', 'p') AND c.relrowsecurity AND c.relforcerowsecurity \
     ORDER BY 1";

/// Tables and sequences that even their owner's members may not read.
const CLOSED: &str = "SELECT c.oid::regclass::text FROM pg_class c \
     JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' \
     AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass \
       AND d.objid = c.oid AND d.deptype = 'e') \
     AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) \
     ORDER BY 1";

/// Makes the administrator, where it may, a member of roles that own something
/// here: what a role owns, its members can read and give back. Nothing comes of
/// it where it may not.
pub(crate) async fn join(
    session: &mut Session,
    doing: Doing<'_>,
    contents: &Contents,
) -> Result<()> {
    for role in missing(session, doing, &needed(contents)).await? {
        let grant = format!("GRANT {} TO CURRENT_USER", Identifier::new(&role)?);
        match session.run(doing, grant, SHORT).await {
            Ok(_) => {}
            Err(error) if error.sqlstate().is_some() && !error.is_transient() => {
                tracing::debug!(error = &error as &dyn std::error::Error, role, "not joined");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The roles as which the administrator has to act to read and give back.
fn needed(contents: &Contents) -> Vec<String> {
    let owners = contents.owners.iter().map(|owned| &owned.role);
    let all: BTreeSet<&String> = owners.chain(contents.defaults.iter().map(|d| &d.role)).collect();
    all.into_iter().cloned().collect()
}

/// Those of `roles` that are there and whose rights the administrator lacks.
async fn missing(session: &mut Session, doing: Doing<'_>, roles: &[String]) -> Result<Vec<String>> {
    if roles.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = roles.iter().map(|role| Literal(role).to_string()).collect();
    let sql = format!(
        "SELECT rolname::text FROM pg_roles WHERE rolname IN ({}) \
         AND NOT (pg_has_role(current_user, oid, 'USAGE') AND pg_has_role(current_user, oid, 'MEMBER'))",
        names.join(", ")
    );
    let rows = session.run(doing, sql, SHORT).await?;
    rows.iter().map(|row| row.try_get(0).map_err(|source| doing.failed(source))).collect()
}

/// Whether there are roles that [`join`] has to be tried with.
pub(crate) async fn is_member(
    session: &mut Session,
    doing: Doing<'_>,
    contents: &Contents,
) -> Result<bool> {
    Ok(missing(session, doing, &needed(contents)).await?.is_empty())
}

/// Refuses what this administrator cannot dump or give back.
pub(crate) async fn check(
    session: &mut Session,
    doing: Doing<'_>,
    contents: &Contents,
    administrator: &str,
) -> Result<()> {
    let administrator = Identifier::new(administrator)?;
    let beyond = missing(session, doing, &needed(contents)).await?;
    let mut problems = Vec::new();
    for owned in contents.owners.iter().filter(|owned| beyond.contains(&owned.role)) {
        let names =
            owned.objects.iter().map(|(kind, names, _)| format!("{kind} {}", names.join(".")));
        let role = Identifier::new(&owned.role)?;
        problems.push(format!(
            "{} belong(s) to role {role}, as which the administrator {administrator} may not act: \
             give it to the owner role (ALTER … OWNER TO {OWNER_ROLE}), drop it, or \
             GRANT {role} TO {administrator}",
            some(names.collect())
        ));
    }
    for defaults in contents.defaults.iter().filter(|defaults| beyond.contains(&defaults.role)) {
        let role = Identifier::new(&defaults.role)?;
        problems.push(format!(
            "default privileges are those of role {role}, as which the administrator \
             {administrator} may not act: take them back (ALTER DEFAULT PRIVILEGES FOR ROLE {role} \
             … REVOKE …), or GRANT {role} TO {administrator}"
        ));
    }
    let closed =
        if problems.is_empty() { names(session, doing, CLOSED).await? } else { Vec::new() };
    if !closed.is_empty() {
        problems.push(format!(
            "table(s) {} may not be read by the administrator {administrator}: GRANT SELECT on \
             them, and USAGE on their schemas, to {OWNER_ROLE}",
            some(closed)
        ));
    }
    let hidden = names(session, doing, HIDDEN).await?;
    if !hidden.is_empty() {
        problems.push(format!(
            "table(s) {} force row-level security, which hides rows from the administrator: \
             ALTER ROLE {administrator} BYPASSRLS",
            some(hidden)
        ));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::NotDumpable { database: doing.1.to_owned(), problems })
}

async fn names(session: &mut Session, doing: Doing<'_>, sql: &str) -> Result<Vec<String>> {
    let rows = session.run(doing, sql.to_owned(), SHORT).await?;
    rows.iter().map(|row| row.try_get(0).map_err(|source| doing.failed(source))).collect()
}

/// The first of them, and how many there are more.
fn some(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let listed = names.join(", ");
    if more > 0 { format!("{listed} and {more} more") } else { listed }
}
