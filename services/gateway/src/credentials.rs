//! Whose a token is, remembered by its hash, so that its signature is checked
//! once and not at every request.
//!
//! Invariant: what is remembered is a hash, never a token, and none is good
//! for longer than it says.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use yuantus_auth::{Error, Tokens, clock, tokens::Verified};
use yuantus_domain::Result;

/// How many tokens are remembered.
const ROOM: u64 = 20_000;
/// How long at most.
const AT_MOST: Duration = Duration::from_secs(60);

/// Verifies tokens.
pub struct Credentials {
    tokens: Tokens,
    known: Cache<[u8; 32], Arc<Verified>>,
}

impl Credentials {
    /// Verifies with these keys.
    pub fn new(tokens: Tokens) -> Self {
        Self { tokens, known: Cache::builder().max_capacity(ROOM).time_to_live(AT_MOST).build() }
    }

    /// Whose token this is.
    pub fn verify(&self, token: &str) -> Result<Arc<Verified>> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(known) = self.known.get(&hash).filter(|known| known.is_good()) {
            return Ok(known);
        }
        let verified = self.tokens.verify_whole(token).inspect_err(|error| {
            if let Error::FutureToken { issued_at, now } = error {
                tracing::warn!(
                    issued_at,
                    database_clock = now,
                    host_clock = clock::host(),
                    "a token was issued in the future: the clock by which it was issued, or the \
                    identity database's, is wrong or was set"
                );
            }
        });
        let verified = Arc::new(verified?);
        self.known.insert(hash, Arc::clone(&verified));
        Ok(verified)
    }
}
