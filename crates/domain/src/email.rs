//! Addresses of users.

use crate::{Error, Result};

const MAX_LEN: usize = 254;

/// An e-mail address: something, one `@`, something; no spaces, no control
/// characters, at most 254 bytes. Whether mail arrives there nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Parses an address; an error names `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self> {
        let whole = text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.contains('@')
        });
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if !whole || text.len() > MAX_LEN || text.chars().any(odd) {
            return Err(Error::invalid(field, "must be an e-mail address of at most 254 bytes"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Parses an address that may be left out, as the empty text.
    pub fn parse_optional(field: &'static str, text: &str) -> Result<Option<Self>> {
        if text.is_empty() { Ok(None) } else { Self::parse(field, text).map(Some) }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for good in ["a@b", "ann.lee+x@example.com", "ü@ö.example"] {
            assert!(Email::parse("email", good).is_ok(), "{good}");
        }
        let long = format!("{}@b", "a".repeat(253));
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", &long] {
            assert!(Email::parse("email", bad).is_err(), "{bad}");
        }
        assert_eq!(Email::parse_optional("email", "").unwrap(), None);
    }
}
