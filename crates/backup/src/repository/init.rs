//! Making a repository.
//!
//! Two files: the key file, then the config, which is what makes it a repository. The key file is
//! the same bytes each time, and a config that is there is kept, so a crash at any point, or
//! running it again, ends in the same place.

use rustic_core::{
    KeyOptions,
    repofile::{Chunker, ConfigFile},
};
use serde_json::json;

use super::Repository;
use crate::{Error, Result, pack::hash, session::Session};

const OPERATION: &str = "initialising a repository";

impl Repository {
    /// Makes the repository unless it is there, and makes sure that the key opens it.
    pub async fn init(&self) -> Result<()> {
        self.put_key_file(OPERATION).await?;
        let config = self.config()?;
        Session::run(self, OPERATION, move |session| {
            let closed = session.closed()?;
            if session.checked(closed.config_id())?.is_some() {
                return session.open().map(drop);
            }
            let credentials = session.credentials();
            let made = closed.init_with_config(&credentials, &KeyOptions::default(), config);
            session.checked(made).map(drop)
        })
        .await
    }

    /// The settings of a repository, measured on dumps of `pg_dump -Fc -Z0`:
    ///
    /// - chunks of 64 KiB within the segments that [`crate::source`] cuts, so that a changed row
    ///   costs little;
    /// - zstd 1: half the time of the default level 3 for a few per cent of size;
    /// - no `extra_verify`, which would decrypt and decompress every chunk again before sending
    ///   it: what S3 really holds is verified by reading it back, see [`crate::verify()`];
    /// - packs of 8 MiB, growing with the repository to 32 MiB: a handful of them is in memory.
    ///
    /// The polynomial, which is the org's, is there for `restic`, should it ever write here. The id
    /// follows from the prefix: nothing is random, so two that initialise at once agree.
    fn config(&self) -> Result<ConfigFile> {
        const KIB: u32 = 1024;
        const MIB: u32 = 1024 * KIB;
        let config = json!({
            "version": 2,
            "id": hash(self.prefix.as_bytes()),
            "chunker_polynomial": self.key.polynomial,
            "chunker": Chunker::FixedSize,
            "chunk_size": 64 * KIB,
            "compression": 1,
            "extra_verify": false,
            "datapack_size": 8 * MIB,
            "datapack_size_limit": 32 * MIB,
        });
        serde_json::from_value(config)
            .map_err(|source| Error::Document { document: "the repository's config", source })
    }
}
