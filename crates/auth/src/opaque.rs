//! Opaque credentials: random, and known by their hash alone.
//!
//! Invariant: 256 random bits, so that a plain SHA-256 of one tells nothing and
//! nobody finds another of the same hash.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;

use crate::{Error, Result};

/// How refresh tokens begin.
pub const REFRESH_TOKEN: &str = "yr_";
/// How API keys begin.
pub const API_KEY: &str = "yk_";

/// A new credential that begins with `prefix`.
pub fn generate(prefix: &str) -> Result<SecretString> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)).into())
}

/// Whether a text looks like a credential that begins with `prefix`.
pub fn is_one(prefix: &str, text: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    rest.len() == 43 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// What is kept of a credential.
pub fn hash(credential: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, credential.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn no_two_are_the_same_and_a_hash_is_of_one() {
        let (one, two) = (generate(API_KEY).unwrap(), generate(API_KEY).unwrap());
        assert_eq!((one.expose_secret().len(), &one.expose_secret()[..3]), (46, "yk_"));
        let (one, two) = (one.expose_secret(), two.expose_secret());
        assert_ne!(hash(one), hash(two));
        assert!(is_one(API_KEY, one) && !is_one(REFRESH_TOKEN, one) && !is_one(API_KEY, "yk_x"));
    }
}
