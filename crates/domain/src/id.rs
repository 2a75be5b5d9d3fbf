//! Ids of tenants, orgs and users. They become parts of database names, role
//! names, S3 keys and host names, so their alphabet is what all of those take.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Ids nobody may register.
pub const RESERVED: &[&str] = &["platform", "postgres", "template0", "template1", "system"];

/// The pseudo-tenant that platform administrators log in to.
pub const PLATFORM: &str = "platform";

const MAX_LEN: usize = 64;

fn check(field: &'static str, id: &str) -> Result<()> {
    let invalid = |rule: &str| Err(Error::invalid(field, rule));
    if id.is_empty() || id.len() > MAX_LEN {
        return invalid("must have 1 to 64 characters");
    }
    if !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_') {
        return invalid("may hold lower-case letters, digits, `-` and `_` only");
    }
    if id.contains("__") {
        return invalid("must not hold `__`");
    }
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    if !edge(id.as_bytes().first()) || !edge(id.as_bytes().last()) {
        return invalid("must begin and end with a letter or digit");
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses an id; an error names `field`.
            pub fn parse(field: &'static str, id: &str) -> Result<Self> {
                check(field, id)?;
                Ok(Self(id.to_owned()))
            }

            /// Parses an id that is to be registered: reserved ones are refused.
            pub fn parse_new(field: &'static str, id: &str) -> Result<Self> {
                let parsed = Self::parse(field, id)?;
                if RESERVED.contains(&id) {
                    return Err(Error::invalid(field, "is reserved"));
                }
                Ok(parsed)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(id: String) -> Result<Self> {
                Self::parse("id", &id)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(id: &str) -> Result<Self> {
                Self::parse("id", id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id! {
    /// A tenant's id.
    TenantId
}
id! {
    /// What a policy is for, such as `payments`.
    Area
}
id! {
    /// An org's id, unique within its tenant.
    OrgId
}

/// One org of one tenant: what owns a database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrgKey {
    /// The tenant.
    pub tenant: TenantId,
    /// The org within it.
    pub org: OrgId,
}

impl OrgKey {
    /// Parses both ids; an error names `tenant_id` or `org_id`.
    pub fn parse(tenant: &str, org: &str) -> Result<Self> {
        Ok(Self {
            tenant: TenantId::parse("tenant_id", tenant)?,
            org: OrgId::parse("org_id", org)?,
        })
    }
}

impl fmt::Display for OrgKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.org)
    }
}

/// A user's name within a tenant: 1 to 64 characters of letters, digits and
/// `.`, `_`, `-`, `@`, `+`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Parses a name; an error names `field`.
    pub fn parse(field: &'static str, name: &str) -> Result<Self> {
        let ok = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
        if name.is_empty() || name.len() > MAX_LEN || !name.chars().all(ok) {
            return Err(Error::invalid(
                field,
                "must have 1 to 64 letters, digits, `.`, `_`, `-`, `@` or `+`",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_documented_alphabet_parse() {
        for id in ["a", "tenant-1", "a_b", "0", &"x".repeat(64)] {
            assert!(TenantId::parse("id", id).is_ok(), "{id}");
        }
    }

    #[test]
    fn ids_that_could_collide_or_escape_are_refused() {
        for id in [
            "",
            "a__b",
            "Tenant",
            "../x",
            "org\"; DROP",
            "-a",
            "a-",
            "_a",
            "é",
            "a b",
            &"x".repeat(65),
        ] {
            assert!(TenantId::parse("id", id).is_err(), "{id}");
        }
    }

    #[test]
    fn reserved_ids_can_be_read_but_not_registered() {
        assert!(TenantId::parse("id", "platform").is_ok());
        assert!(TenantId::parse_new("id", "platform").is_err());
    }
}
