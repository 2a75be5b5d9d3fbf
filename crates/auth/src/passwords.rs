//! Password hashes: argon2id with OWASP's parameters (19 MiB, two passes, one
//! lane).
//!
//! Invariants: at most as many hashes are computed at once as there are cores,
//! and so many wait, so that a wave of logins takes neither the memory nor the
//! runtime; and an unknown user costs as much as a wrong password.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{Error, Result};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How many may wait, where nobody says.
const QUEUE: usize = 128;

/// Hashes and compares passwords off the runtime's threads.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    queue: usize,
}

/// Counts one who waits, until it is dropped.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    /// One hasher for the process: as many hashes at once as there are cores.
    pub fn new() -> Result<Self> {
        Self::bounded(0, QUEUE)
    }

    /// As [`Self::new`], for `slots` hashes at once (0: as many as there are
    /// cores) and `queue` that wait for one.
    pub fn bounded(slots: usize, queue: usize) -> Result<Self> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
            .map_err(|source| Error::HashParameters { source })?;
        let cores = available_parallelism().map_or(1, usize::from);
        let slots = if slots == 0 { cores } else { slots };
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            slots: Arc::new(Semaphore::new(slots)),
            waiting: Arc::default(),
            queue,
        })
    }

    /// Refuses where as many wait as may.
    fn wait(&self) -> Result<Waiting> {
        let waiting = Waiting(Arc::clone(&self.waiting));
        if waiting.0.fetch_add(1, Ordering::Relaxed) >= self.queue {
            return Err(Error::TooManyHashes);
        }
        Ok(waiting)
    }

    /// A PHC string with a random salt.
    pub async fn hash(&self, password: &SecretString) -> Result<String> {
        self.run(password, |argon2, password| {
            let hash = argon2.hash_password(password)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether `password` is the one of `hash`, a PHC string.
    pub async fn verify(&self, password: &SecretString, hash: &str) -> Result<bool> {
        let hash = hash.to_owned();
        self.run(password, move |argon2, password| {
            let hash = PasswordHash::new(&hash)?;
            match argon2.verify_password(password, &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Does the work of [`Self::verify`] for a user there is not, so that the
    /// time of an answer does not tell who exists.
    pub async fn verify_unknown(&self, password: &SecretString) -> Result<()> {
        self.run(password, |argon2, password| {
            argon2.hash_password_with_salt(password, b"no such user....").map(drop)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        password: &SecretString,
        work: impl FnOnce(&Argon2<'static>, &[u8]) -> argon2::password_hash::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => Some(slot),
            Err(_) => {
                let waiting = self.wait()?;
                // Never closed, so there is always a slot to wait for.
                let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
                drop(waiting);
                slot
            }
        };
        let worked = spawn_blocking(move || {
            let result = work(&argon2, password.expose_secret().as_bytes());
            drop(slot);
            result
        });
        worked
            .await
            .map_err(|source| Error::HashInterrupted { source })?
            .map_err(|source| Error::HashPassword { source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(&"correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(&"correct horse".into(), &hash).await.unwrap());
        assert!(!passwords.verify(&"battery staple".into(), &hash).await.unwrap());
        passwords.verify_unknown(&"correct horse".into()).await.unwrap();
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused_and_the_others_served() {
        let passwords = Passwords::bounded(1, 2).unwrap();
        let password = SecretString::from("x");
        let hashes = (0..10).map(|_| passwords.hash(&password));
        let done = futures::future::join_all(hashes).await;
        let refused = |result: &&Result<String>| matches!(result, Err(Error::TooManyHashes));
        assert_eq!((done.iter().filter(refused).count(), done.len()), (7, 10));
        assert!(passwords.hash(&password).await.is_ok(), "nobody waits any more");
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_not_a_match() {
        let passwords = Passwords::new().unwrap();
        assert!(passwords.verify(&"x".into(), "not a hash").await.is_err());
    }
}
