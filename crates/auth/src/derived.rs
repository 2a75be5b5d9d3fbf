//! Passwords that are kept nowhere before somebody is given them, because they
//! can be derived again: HMAC-SHA256 of a seed, under a key that is derived
//! from the one of the configuration.
//!
//! Invariant: a seed is no secret, and is worth nothing without the key. Who has
//! the key, an old one too, and saw the seed knows the password.

use secrecy::SecretString;

use crate::{Result, Signer};

const PURPOSE: &str = "passwords of roles";

/// Derives passwords.
#[derive(Clone, Debug)]
pub struct DerivedPasswords(Signer);

impl DerivedPasswords {
    /// Derives with the configuration's key: base64 of 32 bytes.
    pub fn new(key: &SecretString) -> Result<Self> {
        Ok(Self(Signer::new(key, PURPOSE)?))
    }

    /// Names the key: what was derived with one of another name cannot be
    /// derived again.
    pub fn key_name(&self) -> String {
        self.0.key_id().to_owned()
    }

    /// The password of a seed: 64 digits and letters, 256 bits.
    pub fn password(&self, seed: &str) -> SecretString {
        hex::encode(self.0.sign(format!("seed {seed}").as_bytes())).into()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::random_key;

    #[test]
    fn a_seed_gives_the_same_password_under_the_same_key_only() {
        let (one, other) = (random_key().unwrap(), random_key().unwrap());
        let derive = |key, seed| {
            let derived = DerivedPasswords::new(key).unwrap();
            (derived.key_name(), derived.password(seed).expose_secret().to_owned())
        };
        let (name, password) = derive(&one, "a");
        assert_eq!(derive(&one, "a"), (name.clone(), password.clone()));
        assert_eq!((name.len(), password.len()), (16, 64));
        assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let seeded = derive(&one, "b");
        assert!(seeded.0 == name && seeded.1 != password);
        let keyed = derive(&other, "a");
        assert!(keyed.0 != name && keyed.1 != password);
    }
}
