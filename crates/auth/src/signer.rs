//! Signatures of this deployment: HMAC-SHA256 under a key that is derived from
//! the one of the configuration. What a previous key signed still holds.
//!
//! Invariant: what is signed for one purpose is worth nothing for another, and
//! the key that seals secrets is never used to sign.

use std::fmt;

use aws_lc_rs::{hkdf, hmac};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};

use crate::{Error, Result};

const KEY_BYTES: usize = 32;
/// What the key is derived for that names the configuration's key. Spare
/// databases' markers hold such names: it never changes.
const NAMING: &str = "passwords of roles";
/// How many bytes name a key.
const NAME_BYTES: usize = 8;

/// Signs for one purpose.
#[derive(Clone)]
pub struct Signer {
    current: hmac::Key,
    previous: Vec<hmac::Key>,
    key_id: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Signer {
    /// Derives the key of `purpose` from the configuration's: base64 of 32
    /// bytes.
    pub fn new(key: &SecretString, purpose: &str) -> Result<Self> {
        let current = derive(key, purpose)?;
        Ok(Self { current, previous: Vec::new(), key_id: key_name(key)? })
    }

    /// Also takes what was signed with the configuration's key before.
    pub fn with_previous(mut self, key: &SecretString, purpose: &str) -> Result<Self> {
        self.previous.push(derive(key, purpose)?);
        Ok(self)
    }

    /// The name of the key that signs, to be stored with what it signed.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The signature of `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.current, message).as_ref().to_vec()
    }

    /// Whether `signature` is that of `message`, by the current key or a
    /// previous one.
    pub fn is_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        keys.any(|key| hmac::verify(key, message, signature).is_ok())
    }
}

/// Names a key of the configuration (base64 of 32 bytes) after itself: 16 hex
/// digits, which tell nothing of it.
pub fn key_name(key: &SecretString) -> Result<String> {
    let signed = hmac::sign(&derive(key, NAMING)?, b"name");
    Ok(hex::encode(&signed.as_ref()[..NAME_BYTES]))
}

/// The key of `purpose`.
fn derive(key: &SecretString, purpose: &str) -> Result<hmac::Key> {
    let mut root = STANDARD.decode(key.expose_secret().trim()).map_err(|_| Error::InvalidKey)?;
    if root.len() != KEY_BYTES {
        root.zeroize();
        return Err(Error::InvalidKey);
    }
    let mut derived = [0; KEY_BYTES];
    let filled = hkdf::Salt::new(hkdf::HKDF_SHA256, b"yuantus")
        .extract(&root)
        .expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut derived));
    root.zeroize();
    let key = filled.map(|()| hmac::Key::new(hmac::HMAC_SHA256, &derived));
    derived.zeroize();
    key.map_err(|_| Error::InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_key;

    #[test]
    fn a_signature_holds_for_its_message_key_and_purpose_only() {
        let key = random_key().unwrap();
        let signer = Signer::new(&key, "checkpoints").unwrap();
        let signature = signer.sign(b"seq 7");
        assert!(signer.is_signature(b"seq 7", &signature));
        assert!(!signer.is_signature(b"seq 8", &signature));
        let same = Signer::new(&key, "checkpoints").unwrap();
        assert!(same.is_signature(b"seq 7", &signature));
        for other in [
            Signer::new(&key, "tokens").unwrap(),
            Signer::new(&random_key().unwrap(), "checkpoints").unwrap(),
        ] {
            assert!(!other.is_signature(b"seq 7", &signature));
        }
    }

    #[test]
    fn what_a_previous_key_signed_holds_and_nothing_new_is_signed_with_it() {
        let (old, new) = (random_key().unwrap(), random_key().unwrap());
        let before = Signer::new(&old, "checkpoints").unwrap();
        let after = Signer::new(&new, "checkpoints").unwrap();
        let both = after.clone().with_previous(&old, "checkpoints").unwrap();
        assert!(both.is_signature(b"seq 7", &before.sign(b"seq 7")));
        assert!(!after.is_signature(b"seq 7", &before.sign(b"seq 7")));
        assert_eq!(both.sign(b"seq 7"), after.sign(b"seq 7"));
        assert_eq!((both.key_id(), both.key_id().len()), (after.key_id(), 16));
        assert_ne!(before.key_id(), after.key_id());
    }

    #[test]
    fn keys_of_another_size_are_refused() {
        for key in ["", "c2hvcnQ=", "not base64!"] {
            assert!(Signer::new(&key.into(), "x").is_err(), "{key}");
        }
    }
}
