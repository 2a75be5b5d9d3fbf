//! What calls functions while a dump is loaded: check constraints with every
//! row, indexes and materialized views afterwards.
//!
//! An archive is loaded with an empty search path, and its tables one after the
//! other. A function that finds its tables by the search path finds none, and a
//! check that looks into another table may find that empty. So functions have
//! the search path of the org's sessions for as long as it takes, and checks
//! that call them are made once all rows are there.
//!
//! Invariant: afterwards functions and checks are what they were. A check that
//! the rows do not pass, which they did when they were written, is kept for new
//! rows alone, and that is said.

use sqlx::Row;

use crate::{
    Address, Identifier, Result,
    contents::rights::{is_refusal, sentence},
    identifier::Literal,
    session::{Doing, SHORT, Session, WORK},
};

/// Functions of the owner role's own that may find something by the search path.
const FUNCTIONS: &str = "SELECT p.oid::bigint FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
     WHERE p.proowner = (SELECT oid FROM pg_roles WHERE rolname = 'yuantus_tenant_owner') \
     AND p.prokind = 'f' AND l.lanname NOT IN ('c', 'internal') \
     AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) \
     AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search\\_path=%') \
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass \
       AND d.objid = p.oid AND d.deptype = 'e') \
     AND p.oid NOT IN (SELECT found.objid FROM jsonb_array_elements({inlined}::jsonb) AS f (a), \
       LATERAL pg_get_object_address(a ->> 0, array(SELECT jsonb_array_elements_text(a -> 1)), \
         array(SELECT jsonb_array_elements_text(a -> 2))) found)";

/// Checks of tables and domains that call functions of somebody's own, and are
/// not a parent's.
const CHECKS: &str = "SELECT CASE WHEN k.contypid <> 0 \
         THEN format('DOMAIN %s', k.contypid::regtype) \
         ELSE format('TABLE %s', k.conrelid::regclass) END, \
       k.conname::text, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint') \
     FROM pg_constraint k WHERE k.contype = 'c' AND k.coninhcount = 0 AND EXISTS ( \
       SELECT FROM pg_depend d WHERE d.classid = 'pg_constraint'::regclass AND d.objid = k.oid \
       AND ((d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384 \
           AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
             AND e.objid = d.refobjid AND e.deptype = 'e')) \
         OR (d.refclassid = 'pg_operator'::regclass AND d.refobjid >= 16384 \
           AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_operator'::regclass \
             AND e.objid = d.refobjid AND e.deptype = 'e')))) \
     ORDER BY k.oid";

/// Functions that have a search path for a while.
pub(crate) struct Paths(Vec<i64>);

/// A check that is made later.
pub(crate) struct Check {
    /// `TABLE public.t` or `DOMAIN public.d`, quoted by the server.
    subject: String,
    name: Identifier,
    definition: String,
    comment: Option<String>,
}

/// Gives every function but the `inlined` ones the search path. The session is
/// the owner role's.
pub(crate) async fn set_paths(
    session: &mut Session,
    doing: Doing<'_>,
    path: &str,
    inlined: &[Address],
) -> Result<Paths> {
    // Addresses are strings: they always serialise.
    let inlined = serde_json::to_string(inlined).unwrap_or_default();
    let functions = FUNCTIONS.replace("{inlined}", &Literal(&inlined).to_string());
    let rows = session.run(doing, functions, SHORT).await?;
    let read = rows.iter().map(|row| row.try_get(0).map_err(|source| doing.failed(source)));
    let functions = Paths(read.collect::<Result<_>>()?);
    let set = format!("PERFORM set_config('search_path', {}, true);", Literal(path));
    functions.alter(session, doing, &set, "SET search_path FROM CURRENT").await?;
    Ok(functions)
}

impl Paths {
    /// Takes the search path away again.
    pub(crate) async fn reset(self, session: &mut Session, doing: Doing<'_>) -> Result<()> {
        self.alter(session, doing, "", "RESET search_path").await
    }

    async fn alter(
        &self,
        session: &mut Session,
        doing: Doing<'_>,
        before: &str,
        change: &str,
    ) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let oids: Vec<String> = self.0.iter().map(i64::to_string).collect();
        let sql = format!(
            "DO $$ DECLARE f regprocedure; BEGIN {before} \
             FOREACH f IN ARRAY ARRAY[{}]::oid[]::regprocedure[] LOOP \
             EXECUTE format('ALTER FUNCTION %s {change}', f); END LOOP; END $$",
            oids.join(", ")
        );
        session.run(doing, sql, WORK).await.map(drop)
    }
}

/// Takes away the checks that are to be made once all rows are there.
pub(crate) async fn drop_checks(session: &mut Session, doing: Doing<'_>) -> Result<Vec<Check>> {
    let mut dropped = Vec::new();
    loop {
        let rows = session.run(doing, CHECKS.to_owned(), SHORT).await?;
        // What was a parent's too is its table's own once the parent's is gone.
        if rows.is_empty() {
            return Ok(dropped);
        }
        for row in rows {
            let read = || -> Result<_, sqlx::Error> {
                Ok((
                    row.try_get(0)?,
                    row.try_get::<String, _>(1)?,
                    row.try_get(2)?,
                    row.try_get(3)?,
                ))
            };
            let (subject, name, definition, comment) = read().map_err(|e| doing.failed(e))?;
            let check = Check { subject, name: Identifier::new(&name)?, definition, comment };
            let sql = format!("ALTER {} DROP CONSTRAINT IF EXISTS {}", check.subject, check.name);
            session.run(doing, sql, SHORT).await?;
            dropped.push(check);
        }
    }
}

/// Makes the checks again, and says which hold for new rows only.
pub(crate) async fn make_checks(
    session: &mut Session,
    doing: Doing<'_>,
    checks: &[Check],
) -> Result<Vec<String>> {
    let mut unvalidated = Vec::new();
    // A parent's check is made after its children's, which it then includes.
    for check in checks.iter().rev() {
        let Check { subject, name, definition, .. } = check;
        let add = format!("ALTER {subject} ADD CONSTRAINT {name} {definition}");
        match session.run(doing, add.clone(), WORK).await {
            Ok(_) => {}
            Err(error) if is_refusal(&error) && !definition.ends_with("NOT VALID") => {
                session.run(doing, format!("{add} NOT VALID"), WORK).await?;
                let why = sentence(&add, &error);
                unvalidated.push(format!("check {name} holds for new rows only: {why}"));
            }
            Err(error) => return Err(error),
        }
        if let Some(comment) = &check.comment {
            let on = subject.strip_prefix("TABLE ").unwrap_or(subject);
            let sql = format!("COMMENT ON CONSTRAINT {name} ON {on} IS {}", Literal(comment));
            session.run(doing, sql, SHORT).await?;
        }
    }
    Ok(unvalidated)
}
