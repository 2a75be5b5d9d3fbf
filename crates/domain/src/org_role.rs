//! What a user is within an org. The names are the application's: they give no
//! right here, but are told to whoever asks about a caller.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const MAX_LEN: usize = 64;
const MAX_ROLES: usize = 32;
/// Names of roles that users have, not members.
const TAKEN: [&str; 2] = ["platform_admin", "tenant_admin"];

/// The role of a member who was given none.
pub const MEMBER: &str = "member";

/// The name of a role in an org: `owner`, `admin`, `member`, or one that the
/// application knows. A lower-case letter, then letters, digits, `_`, `-`, `.`;
/// at most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrgRole(String);

impl OrgRole {
    /// Parses a name; an error names `field`.
    pub fn parse(field: &'static str, name: &str) -> Result<Self> {
        let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
        if !begins || name.len() > MAX_LEN || !name.bytes().all(ok) {
            let rule = "must have names of 1 to 64 lower-case letters, digits, `_`, `-` or `.`";
            return Err(Error::invalid(field, rule));
        }
        if TAKEN.contains(&name) {
            return Err(Error::invalid(field, format!("must not hold `{name}`, a role of users")));
        }
        Ok(Self(name.to_owned()))
    }

    /// Parses the roles of one member, each once; an error names `field`.
    pub fn parse_all<S: AsRef<str>>(field: &'static str, names: &[S]) -> Result<Vec<Self>> {
        if names.len() > MAX_ROLES {
            return Err(Error::invalid(field, "must have at most 32 names"));
        }
        let mut roles = Vec::new();
        for name in names {
            let role = Self::parse(field, name.as_ref())?;
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        Ok(roles)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OrgRole {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::parse("roles", &name)
    }
}

impl From<OrgRole> for String {
    fn from(role: OrgRole) -> Self {
        role.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_into_headers_and_tokens_as_they_are() {
        for good in ["owner", "support_agent", "tier-2", "crm.read"] {
            assert!(OrgRole::parse("roles", good).is_ok(), "{good}");
        }
        for bad in ["", "Owner", "a,b", "a b", "2", "é", "tenant_admin", "platform_admin"] {
            assert!(OrgRole::parse("roles", bad).is_err(), "{bad}");
        }
        let roles = OrgRole::parse_all("roles", &["owner", "owner", "member"]).unwrap();
        assert_eq!(roles.len(), 2);
        assert!(OrgRole::parse_all("roles", &["a"; 33]).is_err());
    }
}
