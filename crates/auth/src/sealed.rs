//! Secrets at rest: AES-256-GCM under a key-encryption key from the
//! configuration.
//!
//! Invariant: a sealed secret opens only as what it was sealed for. Tenant,
//! org, purpose and version are authenticated with it, so a row copied to
//! another tenant is worth nothing.

use std::fmt;

use aws_lc_rs::aead::{self, AES_256_GCM, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};

use crate::{Error, Result};

/// First byte of every sealed secret: the layout below.
/// `1 | length of the key's id | the key's id | nonce | ciphertext and tag`.
const LAYOUT: u8 = 1;

/// What a secret is for; sealed and opened with the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aad<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// Of which org.
    pub org: &'a str,
    /// What it is, such as `database-password`.
    pub purpose: &'a str,
    /// Which of its versions.
    pub version: u32,
}

impl fmt::Display for Aad<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}|{}", self.tenant, self.org, self.purpose, self.version)
    }
}

/// Seals and opens under one key.
pub struct Sealer {
    key: RandomizedNonceKey,
    kek_id: String,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("kek_id", &self.kek_id).finish_non_exhaustive()
    }
}

impl Sealer {
    /// Takes the key, 32 bytes in base64, and the id (at most 255 bytes) that
    /// is stored with what it seals.
    pub fn new(kek: &SecretString, kek_id: &str) -> Result<Self> {
        let invalid = || Error::InvalidKek { kek_id: kek_id.to_owned() };
        if kek_id.len() > usize::from(u8::MAX) {
            return Err(invalid());
        }
        let mut bytes = STANDARD.decode(kek.expose_secret().trim()).map_err(|_| invalid())?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| invalid());
        bytes.zeroize();
        Ok(Self { key: key?, kek_id: kek_id.to_owned() })
    }

    /// The id of the key.
    pub fn kek_id(&self) -> &str {
        &self.kek_id
    }

    /// Seals `plaintext` for what `aad` says.
    pub fn seal(&self, plaintext: &[u8], aad: &Aad<'_>) -> Result<Vec<u8>> {
        let mut buffer = plaintext.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(aead::Aad::from(aad.to_string()), &mut buffer)
            .map_err(|_| Error::Seal { aad: aad.to_string() })?;
        let id_len = u8::try_from(self.kek_id.len()).unwrap_or(u8::MAX);
        let mut sealed = vec![LAYOUT, id_len];
        sealed.extend_from_slice(self.kek_id.as_bytes());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&buffer);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] sealed with the same `aad`.
    pub fn open(&self, sealed: &[u8], aad: &Aad<'_>) -> Result<SecretString> {
        let damaged = || Error::Open { aad: aad.to_string() };
        let (kek_id, rest) = split(sealed).ok_or_else(damaged)?;
        if kek_id != self.kek_id.as_bytes() {
            let sealed_under = String::from_utf8_lossy(kek_id).into_owned();
            let kek_id = self.kek_id.clone();
            return Err(Error::OtherKek { aad: aad.to_string(), sealed_under, kek_id });
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut buffer = ciphertext.to_vec();
        let plaintext = self
            .key
            .open_in_place(Nonce::from(nonce), aead::Aad::from(aad.to_string()), &mut buffer)
            .map_err(|_| damaged())?;
        let text = std::str::from_utf8(plaintext).map(SecretString::from);
        buffer.zeroize();
        text.map_err(|_| damaged())
    }
}

/// The key's id, and what follows it.
fn split(sealed: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&layout, rest) = sealed.split_first()?;
    let (&id_len, rest) = rest.split_first()?;
    (layout == LAYOUT).then_some(())?;
    rest.split_at_checked(usize::from(id_len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_key;

    const AAD: Aad<'_> = Aad { tenant: "acme", org: "hq", purpose: "password", version: 1 };

    #[test]
    fn what_is_sealed_opens_as_itself_only() {
        let sealer = Sealer::new(&random_key().unwrap(), "k1").unwrap();
        let sealed = sealer.seal(b"s3cret", &AAD).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"s3cret"));
        assert_eq!(sealer.open(&sealed, &AAD).unwrap().expose_secret(), "s3cret");
        for other in [
            Aad { tenant: "evil", ..AAD },
            Aad { org: "branch", ..AAD },
            Aad { purpose: "key", ..AAD },
            Aad { version: 2, ..AAD },
        ] {
            assert!(matches!(sealer.open(&sealed, &other), Err(Error::Open { .. })), "{other}");
        }
    }

    #[test]
    fn a_changed_byte_anywhere_is_found() {
        let sealer = Sealer::new(&random_key().unwrap(), "k1").unwrap();
        let sealed = sealer.seal(b"s3cret", &AAD).unwrap();
        for position in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[position] ^= 1;
            assert!(sealer.open(&damaged, &AAD).is_err(), "{position}");
            assert!(sealer.open(&sealed[..position], &AAD).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn another_key_says_which_one_is_needed() {
        let sealed = Sealer::new(&random_key().unwrap(), "old").unwrap().seal(b"x", &AAD).unwrap();
        let new = Sealer::new(&random_key().unwrap(), "new").unwrap();
        let error = new.open(&sealed, &AAD).unwrap_err().to_string();
        assert_eq!(error, "secret `acme|hq|password|1` is sealed under key `old`, not `new`");
    }

    #[test]
    fn keys_of_another_size_are_refused() {
        for kek in ["", "c2hvcnQ=", "not base64!"] {
            assert!(Sealer::new(&kek.into(), "k1").is_err(), "{kek}");
        }
    }
}
