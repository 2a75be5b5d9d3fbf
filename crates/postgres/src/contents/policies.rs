//! Row-level policies for some roles only. The archive names those roles as
//! they were, so it makes none of these: we do, for the roles of today.

use serde::{Deserialize, Serialize};

use crate::{Identifier, Result, bootstrap::OWNER_ROLE};

/// A policy that is not for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The table's schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Whether it lets through what another would not.
    pub permissive: bool,
    /// For which command, as in `pg_policy.polcmd`.
    pub command: char,
    /// For whom.
    pub roles: Vec<String>,
    /// Which rows are seen, with all names qualified.
    pub using: Option<String>,
    /// Which rows may be written.
    pub check: Option<String>,
}

impl Policy {
    /// What `pg_restore --list` calls it, up to its owner.
    pub(crate) fn entry(&self) -> String {
        format!("POLICY {} {} {} ", self.schema, self.table, self.name)
    }

    /// The statement that makes it. One whose roles are all gone is kept, for
    /// nobody who logs in.
    pub(crate) fn statement(&self) -> Result<String> {
        let quoted = |name: &String| Identifier::new(name).map(|name| name.to_string());
        let roles: Result<Vec<String>> = self.roles.iter().map(quoted).collect();
        let roles = roles?;
        let roles = if roles.is_empty() { OWNER_ROLE.to_owned() } else { roles.join(", ") };
        let kind = if self.permissive { "PERMISSIVE" } else { "RESTRICTIVE" };
        let command = match self.command {
            'r' => "SELECT",
            'a' => "INSERT",
            'w' => "UPDATE",
            'd' => "DELETE",
            _ => "ALL",
        };
        let clause = |words: &str, text: &Option<String>| {
            text.as_ref().map(|text| format!(" {words} ({text})")).unwrap_or_default()
        };
        Ok(format!(
            "CREATE POLICY {} ON {}.{} AS {kind} FOR {command} TO {roles}{}{}",
            quoted(&self.name)?,
            quoted(&self.schema)?,
            quoted(&self.table)?,
            clause("USING", &self.using),
            clause("WITH CHECK", &self.check)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_made_for_the_roles_that_are_left() {
        let policy = Policy {
            schema: "public".into(),
            table: "t".into(),
            name: "own rows".into(),
            permissive: false,
            command: 'w',
            roles: vec!["a".into(), "b".into()],
            using: Some("(i > 0)".into()),
            check: None,
        };
        assert_eq!(
            policy.statement().expect("names"),
            "CREATE POLICY \"own rows\" ON \"public\".\"t\" AS RESTRICTIVE FOR UPDATE \
             TO \"a\", \"b\" USING ((i > 0))"
        );
        let nobody = Policy { roles: Vec::new(), ..policy };
        assert!(nobody.statement().expect("names").contains(" TO yuantus_tenant_owner USING"));
    }
}
