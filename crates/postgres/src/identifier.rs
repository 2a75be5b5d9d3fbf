//! Quoting. The only place where a name or a text becomes part of SQL.
//!
//! Invariant: an [`Identifier`] or a [`Literal`] in a statement is one token
//! to PostgreSQL, whatever it holds.

use std::fmt;

use yuantus_domain::{DatabaseName, database_name::MAX_BYTES};

use crate::{Error, Result};

/// A PostgreSQL identifier of 1 to 63 bytes; `Display` writes it quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier(String);

impl Identifier {
    /// Takes a name as it is in the catalog, unquoted.
    pub fn new(name: &str) -> Result<Self> {
        if name.is_empty() || name.len() > MAX_BYTES || name.contains('\0') {
            return Err(Error::Identifier { name: name.to_owned() });
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as it is in the catalog, unquoted.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&DatabaseName> for Identifier {
    fn from(name: &DatabaseName) -> Self {
        Self(name.as_str().to_owned())
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// A text constant; `Display` writes it quoted. Utility statements such as
/// `COMMENT` and `CREATE ROLE` take no parameters.
pub(crate) struct Literal<'a>(pub(crate) &'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The E'' form means the same whatever standard_conforming_strings is.
        let prefix = if self.0.contains('\\') { "E" } else { "" };
        let text = self.0.replace('\0', "").replace('\\', "\\\\").replace('\'', "''");
        write!(f, "{prefix}'{text}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_cannot_be_left() {
        let hostile = Identifier::new("org\"; DROP DATABASE x; --").unwrap();
        assert_eq!(hostile.to_string(), "\"org\"\"; DROP DATABASE x; --\"");
        for bad in ["", "a\0b", &"x".repeat(64)] {
            assert!(Identifier::new(bad).is_err());
        }
    }

    #[test]
    fn literals_cannot_be_left() {
        assert_eq!(Literal("it's").to_string(), "'it''s'");
        assert_eq!(Literal("a\\'b").to_string(), "E'a\\\\''b'");
    }
}
