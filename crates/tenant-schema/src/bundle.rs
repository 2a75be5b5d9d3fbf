//! A bundle: migrations in the order they are applied.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{Migration, Result, builtin, directory, numbering, source::Source};

/// All migrations of a deployment, oldest first; never empty.
#[derive(Clone, Debug)]
pub struct Bundle {
    migrations: Vec<Migration>,
    fingerprint: String,
}

impl Bundle {
    /// The bundle that is part of this program: settings, customers, files.
    pub fn builtin() -> Self {
        let sources = builtin::FILES.iter().map(|(name, text)| Source::new(name, text)).collect();
        Self::from_sources(sources).expect("the built-in bundle obeys the rules of bundles")
    }

    /// Reads a directory of migrations named as sqlx, golang-migrate or Flyway
    /// name them. Other files than `*.sql` are not looked at, nor are
    /// directories within.
    pub fn load(directory: &Path) -> Result<Self> {
        Self::from_sources(directory::read(directory)?)
    }

    fn from_sources(sources: Vec<Source>) -> Result<Self> {
        let migrations = numbering::arrange(sources)?;
        let mut hasher = Sha256::new();
        for migration in &migrations {
            hasher.update(migration.version.to_be_bytes());
            hasher.update(migration.checksum);
        }
        Ok(Self { migrations, fingerprint: hex::encode(hasher.finalize()) })
    }

    /// The migrations, oldest first.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// 64 hex digits: SHA-256 over the migrations' versions and checksums.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The newest version.
    pub fn target(&self) -> i64 {
        self.migrations.last().map_or(0, |newest| newest.version)
    }

    /// The versions above `revision`, oldest first.
    pub fn pending(&self, revision: i64) -> Vec<i64> {
        self.migrations.iter().map(|m| m.version).filter(|version| *version > revision).collect()
    }
}
