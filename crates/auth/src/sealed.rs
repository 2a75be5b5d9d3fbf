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

use crate::{Error, Result, signer::key_name};

/// First byte of every sealed secret: the layout below, whose name of the key is
/// authenticated too.
/// `2 | length of the key's name | the key's name | nonce | ciphertext and tag`.
const LAYOUT: u8 = 2;
/// The layout before: what stands for the name is whatever the configuration
/// called the key, so that it tells nothing.
const UNNAMED: u8 = 1;

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

/// Seals with one key, and opens what that one or a previous one sealed.
pub struct Sealer {
    current: Key,
    previous: Vec<Key>,
}

struct Key {
    key: RandomizedNonceKey,
    name: String,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("key", &self.current.name).finish_non_exhaustive()
    }
}

impl Key {
    fn new(key: &SecretString) -> Result<Self> {
        let name = key_name(key)?;
        let mut bytes =
            STANDARD.decode(key.expose_secret().trim()).map_err(|_| Error::InvalidKey)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| Error::InvalidKey);
        bytes.zeroize();
        Ok(Self { key: key?, name })
    }

    fn open(
        &self,
        aad: String,
        nonce: &[u8; NONCE_LEN],
        ciphertext: &[u8],
    ) -> Option<SecretString> {
        let mut buffer = ciphertext.to_vec();
        let opened = self.key.open_in_place(Nonce::from(nonce), aead::Aad::from(aad), &mut buffer);
        let text = opened.ok().and_then(|text| std::str::from_utf8(text).ok().map(Into::into));
        buffer.zeroize();
        text
    }
}

impl Sealer {
    /// Takes the key, 32 bytes in base64.
    pub fn new(key: &SecretString) -> Result<Self> {
        Ok(Self { current: Key::new(key)?, previous: Vec::new() })
    }

    /// Also opens what this key sealed before.
    pub fn with_previous(mut self, key: &SecretString) -> Result<Self> {
        self.previous.push(Key::new(key)?);
        Ok(self)
    }

    /// The name of the key that seals.
    pub fn key_name(&self) -> &str {
        &self.current.name
    }

    /// How everything begins that the current key sealed, and nothing else.
    pub fn prefix(&self) -> Vec<u8> {
        let name = self.current.name.as_bytes();
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        [&[LAYOUT, length], name].concat()
    }

    /// Seals `plaintext` for what `aad` says.
    pub fn seal(&self, plaintext: &[u8], aad: &Aad<'_>) -> Result<Vec<u8>> {
        let mut buffer = plaintext.to_vec();
        let named = named(aad, &self.current.name);
        let nonce = self
            .current
            .key
            .seal_in_place_append_tag(aead::Aad::from(named), &mut buffer)
            .map_err(|_| Error::Seal { aad: aad.to_string() })?;
        let mut sealed = self.prefix();
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&buffer);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] sealed with the same `aad`, by this key or a
    /// previous one.
    pub fn open(&self, sealed: &[u8], aad: &Aad<'_>) -> Result<SecretString> {
        let damaged = || Error::Open { aad: aad.to_string() };
        let (layout, name, rest) = split(sealed).ok_or_else(damaged)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        if layout == UNNAMED {
            let mut opened = self.keys().map(|key| key.open(aad.to_string(), nonce, ciphertext));
            return opened.find_map(|opened| opened).ok_or_else(damaged);
        }
        let Some(key) = self.keys().find(|key| key.name.as_bytes() == name) else {
            let sealed_with = String::from_utf8_lossy(name).into_owned();
            let keys: Vec<_> = self.keys().map(|key| format!("`{}`", key.name)).collect();
            let (aad, keys) = (aad.to_string(), keys.join(", "));
            return Err(Error::OtherKey { aad, sealed_with, keys });
        };
        key.open(named(aad, &key.name), nonce, ciphertext).ok_or_else(damaged)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

/// What is authenticated with a secret: what it is for, and the key's name.
fn named(aad: &Aad<'_>, name: &str) -> String {
    format!("{aad}|{name}")
}

/// The layout, what names the key, and what follows it.
fn split(sealed: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&layout, rest) = sealed.split_first()?;
    let (&length, rest) = rest.split_first()?;
    [LAYOUT, UNNAMED].contains(&layout).then_some(())?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    Some((layout, name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_key;

    const AAD: Aad<'_> = Aad { tenant: "acme", org: "hq", purpose: "password", version: 1 };

    #[test]
    fn what_is_sealed_opens_as_itself_only() {
        let sealer = Sealer::new(&random_key().unwrap()).unwrap();
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
        let sealer = Sealer::new(&random_key().unwrap()).unwrap();
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
        let old = Sealer::new(&random_key().unwrap()).unwrap();
        let new = Sealer::new(&random_key().unwrap()).unwrap();
        let error = new.open(&old.seal(b"x", &AAD).unwrap(), &AAD).unwrap_err().to_string();
        let (old, new) = (old.key_name(), new.key_name());
        let what = format!("sealed with key `{old}`, which is not among `{new}`");
        assert_eq!(error, format!("secret `acme|hq|password|1` is {what}"));
    }

    #[test]
    fn a_previous_key_opens_what_it_sealed_and_seals_nothing() {
        let (old, new) = (random_key().unwrap(), random_key().unwrap());
        let before = Sealer::new(&old).unwrap();
        let both = Sealer::new(&new).unwrap().with_previous(&old).unwrap();
        let sealed = before.seal(b"s3cret", &AAD).unwrap();
        assert_eq!(both.open(&sealed, &AAD).unwrap().expose_secret(), "s3cret");
        assert!(!sealed.starts_with(&both.prefix()));
        let sealed = both.seal(b"s3cret", &AAD).unwrap();
        assert!(sealed.starts_with(&both.prefix()));
        assert!(before.open(&sealed, &AAD).is_err());
        assert!(Sealer::new(&new).unwrap().open(&sealed, &AAD).is_ok());
    }

    /// `x`, sealed for the above with the key of 32 zero bytes, which the
    /// configuration called `1`: as all secrets were before keys had names.
    #[test]
    fn what_was_sealed_before_keys_had_names_opens() {
        let old: SecretString = STANDARD.encode([0; 32]).into();
        let key = RandomizedNonceKey::new(&AES_256_GCM, &[0; 32]).unwrap();
        let mut text = b"x".to_vec();
        let aad = aead::Aad::from(AAD.to_string());
        let nonce = key.seal_in_place_append_tag(aad, &mut text).unwrap();
        let sealed = [&[UNNAMED, 1, b'1'], nonce.as_ref().as_slice(), &text].concat();
        let new = Sealer::new(&random_key().unwrap()).unwrap();
        assert!(new.open(&sealed, &AAD).is_err());
        let both = new.with_previous(&old).unwrap();
        for sealer in [Sealer::new(&old).unwrap(), both] {
            assert_eq!(sealer.open(&sealed, &AAD).unwrap().expose_secret(), "x");
            assert!(!sealed.starts_with(&sealer.prefix()));
        }
    }

    #[test]
    fn keys_of_another_size_are_refused() {
        for key in ["", "c2hvcnQ=", "not base64!"] {
            assert!(Sealer::new(&key.into()).is_err(), "{key}");
        }
    }
}
