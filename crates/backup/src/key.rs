//! The key of an org's repositories.
//!
//! restic encrypts with a master key that is itself kept in the repository, encrypted under a
//! password by scrypt. Scrypt is made to be slow, so it is done once per org: every generation gets
//! the same key file, and we open repositories with the master key itself.

mod scratch;

use std::fmt;

use rustic_core::{
    ConfigOptions, Credentials, Id, KeyOptions, RepositoryBackends, RepositoryOptions,
    repofile::MasterKey,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{Error, Result, RusticFailure};
use scratch::Scratch;

const OPERATION: &str = "generating a key";

/// What opens an org's repositories: for us the master key, for `restic` the password.
#[derive(Clone)]
pub struct RepositoryKey {
    pub(crate) master: MasterKey,
    password: SecretString,
    pub(crate) key_file: String,
    pub(crate) polynomial: String,
}

/// The form it is sealed in. The version is there to be able to change it.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    master: MasterKey,
    password: String,
    key_file: String,
    polynomial: String,
}

const VERSION: u32 = 1;

impl RepositoryKey {
    /// Makes a random key. Takes a noticeable fraction of a second of one core and 128 MiB, so
    /// never more than one at once.
    pub async fn generate() -> Result<Self> {
        static ONE: Semaphore = Semaphore::const_new(1);
        // The semaphore is never closed.
        let _slot = ONE.acquire().await.ok();
        tokio::task::spawn_blocking(Self::generate_blocking)
            .await
            .map_err(|_| Error::Panicked { operation: OPERATION })?
    }

    /// Has `rustic_core` make a repository in memory and keeps what it made of keys.
    fn generate_blocking() -> Result<Self> {
        let failed = |source| Error::Repository {
            operation: OPERATION,
            prefix: "memory".to_owned(),
            source,
        };
        // 256 random bits, in hex so that it can be typed and passed through any shell.
        let password = Id::random().to_hex().as_str().to_owned();
        let scratch = Scratch::new();
        let backends = RepositoryBackends::new(scratch.clone(), None);
        let options = RepositoryOptions::default().no_cache(true);
        let repository = rustic_core::Repository::new(&options, &backends)
            .and_then(|repository| {
                repository.init(
                    &Credentials::Password(password.clone()),
                    &KeyOptions::default().username("yuantus".to_owned()).with_created(true),
                    &ConfigOptions::default(),
                )
            })
            .map_err(|error| failed(RusticFailure::from(&*error)))?;
        let key_file =
            scratch.key_file().ok_or_else(|| failed(RusticFailure::new("no key file was made")))?;
        Ok(Self {
            master: repository.key(),
            password: password.into(),
            key_file,
            polynomial: repository.config().chunker_polynomial.clone(),
        })
    }

    /// The whole key as text, to be sealed.
    pub fn to_secret(&self) -> Result<SecretString> {
        let document = Document {
            version: VERSION,
            master: self.master.clone(),
            password: self.password.expose_secret().to_owned(),
            key_file: self.key_file.clone(),
            polynomial: self.polynomial.clone(),
        };
        let text = serde_json::to_string(&document)
            .map_err(|_| Error::InvalidKey { reason: "it cannot be written as JSON" })?;
        Ok(text.into())
    }

    /// The reverse of [`RepositoryKey::to_secret`].
    pub fn from_secret(secret: &SecretString) -> Result<Self> {
        // serde_json's error may quote the document, so it is not kept.
        let document: Document = serde_json::from_str(secret.expose_secret()).map_err(|_| {
            Error::InvalidKey { reason: "it is not the JSON document it should be" }
        })?;
        if document.version != VERSION {
            return Err(Error::InvalidKey { reason: "its version is unknown" });
        }
        let master = &document.master;
        if [&master.encrypt, &master.mac.k, &master.mac.r].map(Vec::len) != [32, 16, 16] {
            return Err(Error::InvalidKey { reason: "its parts do not have the right lengths" });
        }
        Ok(Self {
            master: document.master,
            password: document.password.into(),
            key_file: document.key_file,
            polynomial: document.polynomial,
        })
    }

    /// What `restic` asks for.
    pub fn password(&self) -> &SecretString {
        &self.password
    }
}

impl fmt::Debug for RepositoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryKey").finish_non_exhaustive()
    }
}
