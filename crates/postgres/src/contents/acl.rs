//! Rights as they stand in the catalog, and the statements that give them.

use serde::{Deserialize, Serialize};

use crate::{Identifier, Result};

/// One right: who gave it, to whom (everybody if `None`), which, and whether
/// it may be given on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant(pub String, pub Option<String>, pub String, pub bool);

impl Grant {
    pub(crate) fn each_role(&mut self, visit: &mut impl FnMut(&mut String)) {
        visit(&mut self.0);
        if let Some(grantee) = &mut self.1 {
            visit(grantee);
        }
    }
}

/// Forgets the owner's own rights where they are all there are.
pub(crate) fn drop_implied(grants: &mut Vec<Grant>, owner: &str, owner_has_all: bool) {
    if owner_has_all {
        grants.retain(|grant| grant.1.as_deref() != Some(owner));
    }
}

/// Grants that one statement can give.
pub(crate) struct Together<'a> {
    pub(crate) grantor: &'a str,
    pub(crate) grantee: Option<&'a str>,
    pub(crate) privileges: Vec<&'a str>,
    pub(crate) grantable: bool,
}

/// Joins grants that follow each other and differ in the privilege alone.
pub(crate) fn together(grants: &[Grant]) -> Vec<Together<'_>> {
    let mut joined: Vec<Together<'_>> = Vec::new();
    for Grant(grantor, grantee, privilege, grantable) in grants {
        match joined.last_mut() {
            Some(last)
                if last.grantor == grantor
                    && last.grantee == grantee.as_deref()
                    && last.grantable == *grantable =>
            {
                last.privileges.push(privilege);
            }
            _ => joined.push(Together {
                grantor,
                grantee: grantee.as_deref(),
                privileges: vec![privilege],
                grantable: *grantable,
            }),
        }
    }
    joined
}

impl Together<'_> {
    /// `GRANT … ON <what> TO …`; `column` is where the rights are on a column.
    pub(crate) fn statement(&self, column: Option<&Identifier>, what: &str) -> Result<String> {
        let column = column.map(|column| format!(" ({column})")).unwrap_or_default();
        let known = self.privileges.iter().filter(|name| is_privilege(name));
        let privileges: Vec<String> = known.map(|name| format!("{name}{column}")).collect();
        let grantee = grantee(self.grantee)?;
        let option = if self.grantable { " WITH GRANT OPTION" } else { "" };
        Ok(format!("GRANT {} ON {what} TO {grantee}{option}", privileges.join(", ")))
    }
}

/// A role, or everybody.
pub(crate) fn grantee(role: Option<&str>) -> Result<String> {
    role.map_or(Ok("PUBLIC".to_owned()), |role| Ok(Identifier::new(role)?.to_string()))
}

/// A keyword: upper-case letters and spaces.
fn is_privilege(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(grantee: Option<&str>, privilege: &str, grantable: bool) -> Grant {
        Grant("owner".into(), grantee.map(Into::into), privilege.into(), grantable)
    }

    #[test]
    fn rights_of_one_role_are_given_together() {
        let grants = [
            grant(Some("a\"b"), "SELECT", false),
            grant(Some("a\"b"), "INSERT", false),
            grant(Some("a\"b"), "UPDATE", true),
            grant(None, "SELECT", false),
        ];
        let statements: Vec<String> = together(&grants)
            .iter()
            .map(|grants| grants.statement(None, "TABLE t").expect("names"))
            .collect();
        assert_eq!(
            statements,
            [
                "GRANT SELECT, INSERT ON TABLE t TO \"a\"\"b\"",
                "GRANT UPDATE ON TABLE t TO \"a\"\"b\" WITH GRANT OPTION",
                "GRANT SELECT ON TABLE t TO PUBLIC",
            ]
        );
    }

    #[test]
    fn what_the_owner_has_anyway_is_not_kept() {
        let mut grants = vec![grant(Some("owner"), "SELECT", false), grant(None, "SELECT", false)];
        drop_implied(&mut grants, "owner", false);
        assert_eq!(grants.len(), 2);
        drop_implied(&mut grants, "owner", true);
        assert_eq!(grants, [grant(None, "SELECT", false)]);
    }
}
