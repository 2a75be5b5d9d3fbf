//! Giving back, in a database that was loaded, what belongs to others than the
//! owner role, and every right.
//!
//! Invariant: an object's rights afterwards are those that were read, whatever
//! it was made with. Roles that are gone are named, and so is every statement
//! that this administrator may not run; neither keeps the rest from being done.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;

use super::{
    Contents, Defaults, Rights,
    acl::{grantee, together},
};
use crate::{
    Error, Identifier, Result,
    bootstrap::OWNER_ROLE,
    identifier::Literal,
    session::{Doing, SHORT, Session, WORK},
};

/// How many statements go in one round trip.
const AT_ONCE: usize = 200;

/// The objects of the addresses that are literals of this query, as they are
/// named in statements: kind, name, name of the column, owner.
const RESOLVE: &str = "SELECT whole.type, whole.identity, \
       CASE WHEN found.objsubid > 0 THEN wanted.names[cardinality(wanted.names)] END, \
       array(SELECT DISTINCT CASE e.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(e.grantee)::text END \
         FROM pg_init_privs p, aclexplode(p.initprivs) e \
         WHERE p.classoid = found.classid AND p.objoid = found.objid AND p.objsubid = 0) \
     FROM (SELECT a ->> 0 AS type, array(SELECT jsonb_array_elements_text(a -> 1)) AS names, \
         array(SELECT jsonb_array_elements_text(a -> 2)) AS arguments, n \
       FROM jsonb_array_elements({objects}::jsonb) WITH ORDINALITY AS all_of (a, n)) wanted, \
     LATERAL pg_get_object_address(wanted.type, wanted.names, wanted.arguments) found, \
     LATERAL pg_identify_object(found.classid, found.objid, 0) whole \
     ORDER BY wanted.n";

/// What is put back when.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Rights on foreign servers and wrappers, which the owner role needs to
    /// make foreign tables.
    Foreign,
    /// All but what follows.
    Most,
    /// The owners of event triggers, which are made last.
    EventTriggers,
}

impl Part {
    fn holds(self, kind: &str) -> bool {
        match self {
            Self::Foreign => matches!(kind, "server" | "foreign-data wrapper"),
            Self::Most => kind != "event trigger",
            Self::EventTriggers => kind == "event trigger",
        }
    }
}

/// What is left undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Rights and objects of roles that are gone; a sentence for each role.
    pub gone: Vec<String>,
    /// What this administrator may not do; a sentence for each.
    pub refused: Vec<String>,
}

/// An object as statements name it.
struct Found {
    kind: String,
    identity: String,
    column: Option<String>,
    /// Who had rights on it when it was made.
    initial: Vec<Option<String>>,
}

/// Takes out of `contents` what names roles that are gone, and says so.
pub(crate) async fn drop_gone(
    session: &mut Session,
    doing: Doing<'_>,
    contents: &mut Contents,
) -> Result<Vec<String>> {
    let named: Vec<String> =
        contents.roles().iter().map(|role| Literal(role).to_string()).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT rolname::text FROM pg_roles WHERE rolname IN ({})", named.join(", "));
    let rows = session.run(doing, sql, SHORT).await?;
    let there: Result<BTreeSet<String>> =
        rows.iter().map(|row| row.try_get(0).map_err(|source| doing.failed(source))).collect();
    Ok(without(contents, &there?))
}

/// What is said of each role that is gone.
fn without(contents: &mut Contents, there: &BTreeSet<String>) -> Vec<String> {
    let mut lost: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut lose = |role: &str, what: String| lost.entry(role.to_owned()).or_default().push(what);
    let first = |objects: &[super::Address]| {
        objects
            .first()
            .map(|(kind, names, _)| format!("{kind} {}", names.join(".")))
            .unwrap_or_default()
    };
    contents.owners.retain(|owned| {
        let stays = there.contains(&owned.role);
        if !stays {
            lose(&owned.role, format!("ownership of {}", first(&owned.objects)));
        }
        stays
    });
    for rights in &mut contents.rights {
        let name = first(&rights.objects);
        if !there.contains(&rights.owner) {
            inherit(rights);
        }
        rights.grants.retain(|grant| keep(grant, there, &name, &mut lose));
    }
    for defaults in &mut contents.defaults {
        let name = format!("what {} makes", defaults.role);
        defaults.grants.retain(|grant| keep(grant, there, &name, &mut lose));
    }
    contents.defaults.retain(|defaults| {
        let stays = there.contains(&defaults.role);
        if !stays {
            lose(&defaults.role, "its default privileges".to_owned());
        }
        stays
    });
    for policy in &mut contents.policies {
        let name = format!("policy {} on {}.{}", policy.name, policy.schema, policy.table);
        policy.roles.retain(|role| {
            let stays = there.contains(role);
            if !stays {
                lose(role, name.clone());
            }
            stays
        });
    }
    let settings = &mut contents.settings;
    settings.grants.retain(|grant| keep(grant, there, "the database", &mut lose));
    settings.values.retain(|(role, _)| {
        let gone = role.as_ref().filter(|role| !there.contains(*role));
        if let Some(role) = gone {
            lose(role, "its settings in the database".to_owned());
        }
        gone.is_none()
    });
    let sentence = |(role, what): (String, Vec<String>)| {
        let more = match what.len() {
            0 | 1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        let first = what.first().map(String::as_str).unwrap_or_default();
        format!("role `{role}` does not exist: {first}{more} was left out")
    };
    lost.into_iter().map(sentence).collect()
}

/// Makes what belonged to a role that is gone the owner role's, with the rights
/// that it had given.
fn inherit(rights: &mut Rights) {
    for grant in rights.grants.iter_mut().filter(|grant| grant.0 == rights.owner) {
        OWNER_ROLE.clone_into(&mut grant.0);
    }
    rights.grants.retain(|grant| grant.1.as_ref() != Some(&rights.owner));
    OWNER_ROLE.clone_into(&mut rights.owner);
    rights.owner_has_all = true;
}

fn keep(
    grant: &super::Grant,
    there: &BTreeSet<String>,
    what: &str,
    lose: &mut impl FnMut(&str, String),
) -> bool {
    let named = grant.1.iter().chain([&grant.0]);
    let gone = named.into_iter().find(|role| !there.contains(*role));
    if let Some(role) = gone {
        lose(role, format!("{} on {what}", grant.2));
    }
    gone.is_none()
}

/// Puts back what `part` says, of roles that are all there.
pub(crate) async fn give_back(
    session: &mut Session,
    doing: Doing<'_>,
    contents: &Contents,
    part: Part,
    large_objects: bool,
) -> Result<Vec<String>> {
    let made = if part == Part::Foreign { foreign(session, doing).await? } else { Vec::new() };
    let wanted = |(kind, names, _): &&super::Address| {
        part.holds(kind)
            && (large_objects || kind != "large object")
            && (part != Part::Foreign || names.first().is_some_and(|name| made.contains(name)))
    };
    let mut statements = Vec::new();
    if part != Part::Foreign {
        for owned in &contents.owners {
            let role = Identifier::new(&owned.role)?;
            let objects: Vec<_> = owned.objects.iter().filter(wanted).collect();
            for found in resolve(session, doing, &objects).await? {
                let (kind, name) = (owner_keyword(&found.kind), &found.identity);
                statements.push(format!("ALTER {kind} {name} OWNER TO {role}"));
            }
        }
    }
    if part != Part::EventTriggers {
        for rights in &contents.rights {
            let objects: Vec<_> = rights.objects.iter().filter(wanted).collect();
            for found in resolve(session, doing, &objects).await? {
                statements.extend(statements_of(&found, rights)?);
            }
        }
    }
    if part == Part::Most {
        for defaults in &contents.defaults {
            statements.extend(defaults_of(defaults)?);
        }
    }
    run_all(session, doing, &statements).await
}

/// The foreign servers and wrappers that have been made so far.
async fn foreign(session: &mut Session, doing: Doing<'_>) -> Result<Vec<String>> {
    let sql = "SELECT srvname::text FROM pg_foreign_server \
        UNION SELECT fdwname::text FROM pg_foreign_data_wrapper";
    let rows = session.run(doing, sql.to_owned(), SHORT).await?;
    rows.iter().map(|row| row.try_get(0).map_err(|source| doing.failed(source))).collect()
}

async fn resolve(
    session: &mut Session,
    doing: Doing<'_>,
    objects: &[&super::Address],
) -> Result<Vec<Found>> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    // Addresses are strings: they always serialise.
    let json = serde_json::to_string(objects).unwrap_or_default();
    let sql = RESOLVE.replace("{objects}", &Literal(&json).to_string());
    let rows = session.run(doing, sql, WORK).await?;
    let read = |row: &sqlx::postgres::PgRow| -> Result<Found, sqlx::Error> {
        Ok(Found {
            kind: row.try_get(0)?,
            identity: row.try_get(1)?,
            column: row.try_get(2)?,
            initial: row.try_get(3)?,
        })
    };
    rows.iter().map(|row| read(row).map_err(|source| doing.failed(source))).collect()
}

/// Takes away what an object is made with, and gives what it had.
fn statements_of(found: &Found, rights: &Rights) -> Result<Vec<String>> {
    let what = format!("{} {}", grant_keyword(&found.kind), found.identity);
    let column = found.column.as_deref().map(Identifier::new).transpose()?;
    let mut statements = Vec::new();
    if column.is_none() {
        let mut from: BTreeSet<Option<&str>> = found.initial.iter().map(Option::as_deref).collect();
        from.insert(None);
        from.remove(&Some(rights.owner.as_str()));
        if !rights.owner_has_all {
            from.insert(Some(&rights.owner));
        }
        let from: Result<Vec<String>> = from.into_iter().map(grantee).collect();
        statements.push(format!("REVOKE ALL ON {what} FROM {}", from?.join(", ")));
    }
    for grants in together(&rights.grants) {
        let grant = grants.statement(column.as_ref(), &what)?;
        // Others than the owner gave some on: theirs they stay.
        statements.push(if grants.grantor == rights.owner {
            grant
        } else {
            format!("SET LOCAL ROLE {}; {grant}; RESET ROLE", Identifier::new(grants.grantor)?)
        });
    }
    Ok(statements)
}

fn defaults_of(defaults: &Defaults) -> Result<Vec<String>> {
    let what = match defaults.kind {
        'r' => "TABLES",
        'S' => "SEQUENCES",
        'f' => "FUNCTIONS",
        'T' => "TYPES",
        'n' => "SCHEMAS",
        _ => "LARGE OBJECTS",
    };
    let role = Identifier::new(&defaults.role)?;
    let mut whose = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {role}");
    let mut statements = Vec::new();
    if let Some(schema) = &defaults.schema {
        whose += &format!(" IN SCHEMA {}", Identifier::new(schema)?);
    } else {
        let owner = if defaults.owner_has_all { String::new() } else { format!(", {role}") };
        statements.push(format!("{whose} REVOKE ALL ON {what} FROM PUBLIC{owner}"));
    }
    for grants in together(&defaults.grants) {
        statements.push(format!("{whose} {}", grants.statement(None, what)?));
    }
    Ok(statements)
}

/// What a kind of `pg_identify_object` is called in `ALTER … OWNER TO`.
fn owner_keyword(kind: &str) -> String {
    match kind {
        "statistics object" => "STATISTICS".to_owned(),
        "foreign-data wrapper" => "FOREIGN DATA WRAPPER".to_owned(),
        other => other.to_uppercase(),
    }
}

/// What it is called in `GRANT`.
fn grant_keyword(kind: &str) -> &'static str {
    match kind {
        "sequence" => "SEQUENCE",
        "function" | "procedure" | "aggregate" => "ROUTINE",
        "type" => "TYPE",
        "schema" => "SCHEMA",
        "language" => "LANGUAGE",
        "server" => "FOREIGN SERVER",
        "foreign-data wrapper" => "FOREIGN DATA WRAPPER",
        "large object" => "LARGE OBJECT",
        _ => "TABLE",
    }
}

/// Runs all of them, many at once; where some are refused, one by one, and says
/// which.
pub(crate) async fn run_all(
    session: &mut Session,
    doing: Doing<'_>,
    statements: &[String],
) -> Result<Vec<String>> {
    let mut refused = Vec::new();
    for part in statements.chunks(AT_ONCE) {
        let together = format!("BEGIN; {}; COMMIT", part.join("; "));
        match session.run(doing, together, WORK).await {
            Ok(_) => continue,
            Err(error) if is_refusal(&error) => session.roll_back(doing).await?,
            Err(error) => return Err(error),
        }
        for statement in part {
            let alone = format!("BEGIN; {statement}; COMMIT");
            match session.run(doing, alone, WORK).await {
                Ok(_) => {}
                Err(error) if is_refusal(&error) => {
                    refused.push(sentence(statement, &error));
                    session.roll_back(doing).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(refused)
}

/// Whether the server answered, and will answer the same again.
pub(crate) fn is_refusal(error: &Error) -> bool {
    error.sqlstate().is_some() && !error.is_transient()
}

pub(crate) fn sentence(statement: &str, error: &Error) -> String {
    let Error::Statement { source, .. } = error else { return error.to_string() };
    format!("`{statement}` is refused: {source}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Grant, Owned};

    fn grant(grantor: &str, grantee: &str) -> Grant {
        Grant(grantor.into(), Some(grantee.into()), "SELECT".into(), false)
    }

    #[test]
    fn what_roles_had_that_are_gone_is_named_and_the_rest_is_kept() {
        let table = ("table".to_owned(), vec!["public".to_owned(), "t".to_owned()], Vec::new());
        let mut contents = Contents {
            owners: vec![Owned { role: "gone".into(), objects: vec![table.clone()] }],
            rights: vec![Rights {
                owner: "gone".into(),
                owner_has_all: false,
                grants: vec![grant("gone", "here"), grant("gone", "gone"), grant("gone", "lost")],
                objects: vec![table],
            }],
            ..Contents::default()
        };
        let there = BTreeSet::from([OWNER_ROLE.to_owned(), "here".to_owned()]);
        let said = without(&mut contents, &there);
        assert_eq!(
            said,
            [
                "role `gone` does not exist: ownership of table public.t was left out",
                "role `lost` does not exist: SELECT on table public.t was left out",
            ]
        );
        assert!(contents.owners.is_empty());
        assert_eq!(contents.rights[0].grants, [grant(OWNER_ROLE, "here")]);
        assert_eq!(contents.rights[0].owner, OWNER_ROLE);
    }

    #[test]
    fn an_objects_rights_are_what_they_were_whatever_it_is_made_with() {
        let rights = Rights {
            owner: "o".into(),
            owner_has_all: false,
            grants: vec![grant("o", "a"), grant("a", "b")],
            objects: Vec::new(),
        };
        let found = Found {
            kind: "view".into(),
            identity: "public.v".into(),
            column: None,
            initial: vec![Some("pg_monitor".into())],
        };
        assert_eq!(
            statements_of(&found, &rights).expect("names"),
            [
                "REVOKE ALL ON TABLE public.v FROM PUBLIC, \"o\", \"pg_monitor\"",
                "GRANT SELECT ON TABLE public.v TO \"a\"",
                "SET LOCAL ROLE \"a\"; GRANT SELECT ON TABLE public.v TO \"b\"; RESET ROLE",
            ]
        );
    }
}
