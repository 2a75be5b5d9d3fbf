//! What belongs to a database as a whole: its connection limit, what it sets
//! for its sessions, and who besides the org may do what with it.

use serde::{Deserialize, Serialize};

use super::acl::{Grant, together};
use crate::{Identifier, Result, bootstrap::OWNER_ROLE, identifier::Literal};

/// Settings whose value is a list of names. The catalog has it quoted.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// What belongs to a database as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatabaseSettings {
    /// How many sessions it takes; -1 is any number.
    pub connection_limit: i32,
    /// `name=value`, for sessions of a role or of all.
    pub values: Vec<(Option<String>, Vec<String>)>,
    /// Rights on it, but for the owner's and everybody's.
    pub grants: Vec<Grant>,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { connection_limit: -1, values: Vec::new(), grants: Vec::new() }
    }
}

/// The query that answers the settings of the database that `name`, an
/// expression, says: as JSON, one row or none.
pub(crate) fn of(name: &str) -> String {
    format!(
        "SELECT jsonb_build_object('connection_limit', d.datconnlimit, \
           'values', (SELECT coalesce(jsonb_agg(jsonb_build_array( \
               CASE s.setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END, \
               s.setconfig) ORDER BY s.setrole), '[]') \
             FROM pg_db_role_setting s WHERE s.setdatabase = d.oid), \
           'grants', (SELECT coalesce(jsonb_agg(jsonb_build_array(pg_get_userbyid(e.grantor), \
               pg_get_userbyid(e.grantee), e.privilege_type, e.is_grantable) ORDER BY e.n), '[]') \
             FROM aclexplode(d.datacl) WITH ORDINALITY \
               AS e (grantor, grantee, privilege_type, is_grantable, n) \
             WHERE e.grantee NOT IN (0, d.datdba)))::text \
         FROM pg_database d WHERE d.datname = {name}"
    )
}

impl DatabaseSettings {
    pub(crate) fn each_role(&mut self, visit: &mut impl FnMut(&mut String)) {
        for (role, _) in &mut self.values {
            if let Some(role) = role {
                visit(role);
            }
        }
        for grant in &mut self.grants {
            grant.each_role(visit);
        }
    }

    /// The statements that give a database all of it. `org` is the role whose
    /// right to connect is not among these.
    pub(crate) fn statements(&self, database: &Identifier, org: &str) -> Result<Vec<String>> {
        let mut statements = Vec::new();
        if self.connection_limit >= 0 {
            let limit = self.connection_limit;
            statements.push(format!("ALTER DATABASE {database} CONNECTION LIMIT {limit}"));
        }
        for (role, values) in &self.values {
            let subject = match role {
                Some(role) => format!("ROLE {} IN DATABASE {database}", Identifier::new(role)?),
                None => format!("DATABASE {database}"),
            };
            for (name, value) in values.iter().filter_map(|value| value.split_once('=')) {
                let (name, value) = (parameter(name)?, assigned(name, value));
                statements.push(format!("ALTER {subject} SET {name} TO {value}"));
            }
        }
        for grants in together(&self.grants) {
            if ![Some(org), Some(OWNER_ROLE)].contains(&grants.grantee) {
                statements.push(grants.statement(None, &format!("DATABASE {database}"))?);
            }
        }
        Ok(statements)
    }
}

/// `work_mem`, or `"extension"."setting"`.
fn parameter(name: &str) -> Result<String> {
    let parts: Result<Vec<String>> =
        name.split('.').map(|part| Ok(Identifier::new(part)?.to_string())).collect();
    Ok(parts?.join("."))
}

/// A value as `SET` takes it.
fn assigned(name: &str, value: &str) -> String {
    if !LISTS.contains(&name.to_lowercase().as_str()) {
        return Literal(value).to_string();
    }
    let names: Vec<String> = names(value).iter().map(|name| Literal(name).to_string()).collect();
    if names.is_empty() { "''".to_owned() } else { names.join(", ") }
}

/// The names of a list such as `"$user", public`.
fn names(list: &str) -> Vec<String> {
    let (mut names, mut name, mut quoted, mut there) = (Vec::new(), String::new(), false, false);
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                name.push('"');
            }
            '"' => {
                quoted = !quoted;
                there = true;
            }
            ',' if !quoted => {
                if there {
                    names.push(std::mem::take(&mut name));
                }
                there = false;
            }
            c if c.is_whitespace() && !quoted => {}
            c => {
                name.push(c);
                there = true;
            }
        }
    }
    if there {
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_stay_lists_and_other_values_are_one_text() {
        assert_eq!(names("\"$user\", public,\"a, \"\"b\""), ["$user", "public", "a, \"b"]);
        assert_eq!(assigned("search_path", "\"$user\", public"), "'$user', 'public'");
        assert_eq!(assigned("search_path", ""), "''");
        assert_eq!(assigned("search_path", "\"\""), "''");
        assert_eq!(assigned("work_mem", "64MB, it's"), "'64MB, it''s'");
        assert_eq!(parameter("my.setting").ok().as_deref(), Some("\"my\".\"setting\""));
    }

    #[test]
    fn settings_become_statements_that_leave_the_orgs_own_right_out() {
        let settings = DatabaseSettings {
            connection_limit: 7,
            values: vec![
                (None, vec!["work_mem=64MB".into()]),
                (Some("r".into()), vec!["statement_timeout=5s".into()]),
            ],
            grants: vec![
                Grant("o".into(), Some("reporter".into()), "CONNECT".into(), false),
                Grant("o".into(), Some("org".into()), "CONNECT".into(), false),
            ],
        };
        let database = Identifier::new("d").expect("name");
        assert_eq!(
            settings.statements(&database, "org").expect("names"),
            [
                "ALTER DATABASE \"d\" CONNECTION LIMIT 7",
                "ALTER DATABASE \"d\" SET \"work_mem\" TO '64MB'",
                "ALTER ROLE \"r\" IN DATABASE \"d\" SET \"statement_timeout\" TO '5s'",
                "GRANT CONNECT ON DATABASE \"d\" TO \"reporter\"",
            ]
        );
    }
}
