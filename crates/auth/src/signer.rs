//! Signatures of this deployment: HMAC-SHA256 under a key that is derived from
//! the one of the configuration.
//!
//! Invariant: what is signed for one purpose is worth nothing for another, and
//! the key that seals secrets is never used to sign.

use std::fmt;

use aws_lc_rs::{hkdf, hmac};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};

use crate::{Error, Result};

const KEY_BYTES: usize = 32;

/// Signs for one purpose.
#[derive(Clone)]
pub struct Signer {
    key: hmac::Key,
    key_id: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Signer {
    /// Derives the key of `purpose` from the configuration's: base64 of 32
    /// bytes, and its name.
    pub fn new(key: &SecretString, key_id: &str, purpose: &str) -> Result<Self> {
        let invalid = || Error::InvalidKek { kek_id: key_id.to_owned() };
        let mut root = STANDARD.decode(key.expose_secret().trim()).map_err(|_| invalid())?;
        if root.len() != KEY_BYTES {
            root.zeroize();
            return Err(invalid());
        }
        let mut derived = [0; KEY_BYTES];
        let filled = hkdf::Salt::new(hkdf::HKDF_SHA256, b"yuantus")
            .extract(&root)
            .expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived));
        root.zeroize();
        let key = filled.map(|()| hmac::Key::new(hmac::HMAC_SHA256, &derived));
        derived.zeroize();
        Ok(Self { key: key.map_err(|_| invalid())?, key_id: key_id.to_owned() })
    }

    /// The name of the key, to be stored with what it signed.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The signature of `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, message).as_ref().to_vec()
    }

    /// Whether `signature` is that of `message`; takes as long either way.
    pub fn is_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.key, message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_key;

    #[test]
    fn a_signature_holds_for_its_message_key_and_purpose_only() {
        let key = random_key().unwrap();
        let signer = Signer::new(&key, "1", "checkpoints").unwrap();
        let signature = signer.sign(b"seq 7");
        assert!(signer.is_signature(b"seq 7", &signature));
        assert!(!signer.is_signature(b"seq 8", &signature));
        let same = Signer::new(&key, "1", "checkpoints").unwrap();
        assert!(same.is_signature(b"seq 7", &signature));
        for other in [
            Signer::new(&key, "1", "tokens").unwrap(),
            Signer::new(&random_key().unwrap(), "1", "checkpoints").unwrap(),
        ] {
            assert!(!other.is_signature(b"seq 7", &signature));
        }
    }

    #[test]
    fn keys_of_another_size_are_refused() {
        for key in ["", "c2hvcnQ=", "not base64!"] {
            assert!(Signer::new(&key.into(), "1", "x").is_err(), "{key}");
        }
    }
}
