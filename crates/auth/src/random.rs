//! Random passwords and keys.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::SecretString;

use crate::{Error, Result};

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const PASSWORD_LEN: usize = 40;
/// The largest multiple of 62 that a byte holds: bytes from here on would
/// favour the first letters.
const FAIR: u8 = 248;

/// A password of 40 letters and digits, 238 bits: safe in a URL, a passfile
/// and a shell without quoting.
pub fn random_password() -> Result<SecretString> {
    let mut password = String::with_capacity(PASSWORD_LEN);
    while password.len() < PASSWORD_LEN {
        let mut bytes = [0_u8; PASSWORD_LEN];
        fill(&mut bytes)?;
        let fair = bytes.iter().filter(|byte| **byte < FAIR);
        let letters = fair.map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
        password.extend(letters.take(PASSWORD_LEN - password.len()));
    }
    Ok(password.into())
}

/// 32 random bytes in base64: a key-encryption key or a token secret.
pub fn random_key() -> Result<SecretString> {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes)?;
    Ok(STANDARD.encode(bytes).into())
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| Error::Random)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn passwords_are_letters_and_digits_and_never_the_same() {
        let (one, two) = (random_password().unwrap(), random_password().unwrap());
        assert_eq!(one.expose_secret().len(), PASSWORD_LEN);
        assert!(one.expose_secret().bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(one.expose_secret(), two.expose_secret());
    }
}
