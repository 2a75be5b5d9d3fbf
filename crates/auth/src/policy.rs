//! Which passwords are taken.

use secrecy::{ExposeSecret, SecretString};
use yuantus_domain::{Error, Result};

/// Longer ones would be work for nothing.
const MAX_BYTES: usize = 1024;
/// Shorter ones are guessed.
const MIN_CHARACTERS: usize = 12;

/// What most passwords that were ever stolen are made of. Digits and signs
/// around them, and repeating them, makes none better.
const COMMON: &[&str] = &[
    "abc",
    "abcdef",
    "admin",
    "administrator",
    "asdfgh",
    "asdfghjkl",
    "baseball",
    "changeit",
    "changeme",
    "charlie",
    "computer",
    "default",
    "dragon",
    "football",
    "guest",
    "hello",
    "iloveyou",
    "letmein",
    "login",
    "manager",
    "master",
    "michael",
    "monkey",
    "mustang",
    "passw",
    "password",
    "passwort",
    "postgres",
    "princess",
    "qazwsx",
    "qazwsxedc",
    "qwerty",
    "qwertyui",
    "qwertyuiop",
    "qwertz",
    "root",
    "secret",
    "shadow",
    "starwars",
    "sunshine",
    "superman",
    "superuser",
    "supersecret",
    "system",
    "temp",
    "test",
    "trustno",
    "user",
    "welcome",
    "whatever",
    "yuantus",
    "zxcvbn",
    "zxcvbnm",
];

/// How picky the deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// For development: anything that is not empty.
    Lenient,
    /// Everywhere else: at least 12 characters, and neither the user's name
    /// nor one of the most common passwords, whatever digits are around them.
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

    /// Refuses a password that a user may not have; an error names `field`.
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
        if password.chars().count() < MIN_CHARACTERS {
            let rule = format!("must have at least {MIN_CHARACTERS} characters");
            return Err(Error::invalid(field, rule));
        }
        let core = core(password);
        let name = username.split('@').next().unwrap_or_default();
        if !core.is_empty() && core == self::core(name) {
            return Err(Error::invalid(field, "must not be the user's name"));
        }
        if is_common(&core) {
            return Err(Error::invalid(field, "must not be one of the most common passwords"));
        }
        Ok(())
    }
}

/// What is left of a password without case, digits and signs.
fn core(password: &str) -> String {
    // What people write for letters is read as them: p@ssw0rd.
    let plain = |c: char| match c {
        '@' => 'a',
        '$' => 's',
        '0' => 'o',
        other => other,
    };
    let letters = password.trim_matches(|c: char| !c.is_alphabetic());
    letters.to_lowercase().chars().map(plain).filter(|c| c.is_alphabetic()).collect()
}

/// A common word, the same one again and again, or hardly any letters.
fn is_common(core: &str) -> bool {
    let repeats = |word: &str| {
        core.len().is_multiple_of(word.len())
            && core.as_bytes().chunks(word.len()).all(|chunk| chunk == word.as_bytes())
    };
    let mut letters: Vec<char> = core.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    letters.len() < 3 || COMMON.iter().any(|word| repeats(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: Policy, password: &str) -> Result<(), String> {
        let checked = policy.check("password", "administrator.ann", &password.into());
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn production_is_picky_and_development_is_not() {
        let dev = Policy::of("dev");
        assert!(check(dev, "admin").is_ok() && check(dev, "").is_err());
        let strict = Policy::of("production");
        for good in ["correct horse", "tr0ub4dor-and-3", "Xk7!pPq2-vB9w"] {
            assert_eq!(check(strict, good), Ok(()), "{good}");
        }
        for (refused, rule) in [
            ("admin", "must have at least 12 characters"),
            ("Administrator.Ann", "must not be the user's name"),
            ("Administrator.Ann99!", "must not be the user's name"),
            ("Password1234", "must not be one of the most common passwords"),
            ("P@ssw0rd!2026", "must not be one of the most common passwords"),
            ("qwertyqwerty", "must not be one of the most common passwords"),
            ("123456789012", "must not be one of the most common passwords"),
            ("aaaaaaaaaaaaa", "must not be one of the most common passwords"),
            (&"x".repeat(1025), "must have at most 1024 bytes"),
        ] {
            assert_eq!(check(strict, refused), Err(format!("password {rule}")), "{refused}");
        }
    }
}
