//! Which passwords are taken.

use secrecy::{ExposeSecret, SecretString};
use yuantus_domain::{Error, Result};

/// Longer ones would be work for nothing.
const MAX_BYTES: usize = 1024;

/// How picky the deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// For development: anything that is not empty.
    Lenient,
    /// Everywhere else: at least 8 characters, and not the user's name.
    Strict,
}

impl Policy {
    /// The policy of an `environment`: `dev` and `test` are lenient.
    pub fn of(environment: &str) -> Self {
        match environment {
            "dev" | "development" | "test" => Self::Lenient,
            _ => Self::Strict,
        }
    }

    /// Refuses a password that a new user may not have; an error names
    /// `field`.
    pub fn check(self, field: &str, username: &str, password: &SecretString) -> Result<()> {
        let password = password.expose_secret();
        if password.is_empty() {
            return Err(Error::invalid(field, "must not be empty"));
        }
        if password.len() > MAX_BYTES {
            return Err(Error::invalid(field, "must have at most 1024 bytes"));
        }
        if self == Self::Lenient {
            return Ok(());
        }
        if password.chars().count() < 8 {
            return Err(Error::invalid(field, "must have at least 8 characters"));
        }
        if password.eq_ignore_ascii_case(username) {
            return Err(Error::invalid(field, "must not be the user's name"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(policy: Policy, password: &str) -> bool {
        policy.check("password", "administrator", &password.into()).is_ok()
    }

    #[test]
    fn production_is_picky_and_development_is_not() {
        assert!(accepts(Policy::of("dev"), "admin") && !accepts(Policy::of("dev"), ""));
        let strict = Policy::of("production");
        assert!(accepts(strict, "correct horse"));
        for refused in ["admin", "Administrator", &"x".repeat(1025)] {
            assert!(!accepts(strict, refused), "{refused}");
        }
    }
}
