//! SCRAM verifiers, so that no password reaches the server or its log.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

/// PostgreSQL's own default, and the least that clients accept. The passwords
/// are random, so more rounds would only make logins slower.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("4096 is not zero");

const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = digest::SHA256_OUTPUT_LEN;

/// `SCRAM-SHA-256$4096:<salt>$<stored key>:<server key>` under a new salt.
/// Passwords are ASCII, for which SASLprep changes nothing.
pub fn verifier(password: &SecretString) -> String {
    let mut salt = [0; SALT_BYTES];
    // aws-lc's generator cannot fail once the process has entropy.
    rand::fill(&mut salt).expect("the system's random numbers");
    salted(password, &salt)
}

fn salted(password: &SecretString, salt: &[u8]) -> String {
    let mut salted = [0; KEY_BYTES];
    let password = password.expose_secret().as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password, &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys derived from RFC 7677's example: user `user`, password `pencil`.
    #[test]
    fn the_example_of_rfc_7677_gives_its_keys() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            salted(&SecretString::from("pencil"), &salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
             $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }
}
