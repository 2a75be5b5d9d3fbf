//! Storing a dump's content.

use std::{io::Read, path::PathBuf};

use rustic_core::{BackupOptions, ParentOptions, TreeId, repofile::SnapshotFile};

use super::Repository;
use crate::{
    Error, Result, RusticFailure,
    session::Session,
    source::{Cutter, DumpSource, Outcome},
};

const OPERATION: &str = "storing a dump";

/// What a snapshot says of itself.
#[derive(Clone, Debug)]
pub struct SnapshotMeta {
    /// Id of the backup; becomes the tag `backup:<id>`.
    pub backup_id: String,
    /// What `restic snapshots` shows as host, such as `acme/hq`.
    pub host: String,
    /// More tags.
    pub tags: Vec<String>,
}

/// A dump whose content is in the repository, but which no snapshot names yet. To be handed to
/// [`Repository::put_manifest`], or dropped: then it is as if it had never been.
#[derive(Debug)]
pub struct StoredDump {
    pub(super) meta: SnapshotMeta,
    pub(super) name: String,
    /// The tree of the dump's segments.
    pub(super) tree: TreeId,
    /// Size of the dump in bytes.
    pub bytes: u64,
    /// Hex SHA-256 of the dump.
    pub sha256: String,
    /// Bytes that were added to the repository, compressed and encrypted.
    pub stored_bytes: u64,
}

impl Repository {
    /// Stores what `reader` delivers, as the file `name` of a snapshot to come.
    ///
    /// `on_progress` gets the number of bytes read so far. Nothing is kept when the reader fails.
    /// Dropping the future ends the work: at the next read, or at once if it waits for S3. A
    /// `reader` that blocks is the caller's to unblock, by ending the child behind it.
    pub async fn backup(
        &self,
        meta: SnapshotMeta,
        name: &str,
        reader: impl Read + Send + 'static,
        on_progress: impl FnMut(u64) + Send + 'static,
    ) -> Result<StoredDump> {
        let name = name.to_owned();
        let cutter = Cutter::new(&self.key.polynomial);
        Session::run(self, OPERATION, move |session| {
            let cancel = session.cancel().clone();
            let source = DumpSource::new(reader, cutter, Box::new(on_progress), cancel);
            let archived = archive(session, &source);
            let (bytes, sha256) = match source.outcome() {
                Outcome::Whole { bytes, sha256 } => (bytes, sha256),
                Outcome::Failed(source) if !session.cancel().is_cancelled() => {
                    // An error of S3 makes `rustic_core` stop reading, not reading fail.
                    return Err(Error::Source { name, source });
                }
                _ => return Err(archived.err().unwrap_or_else(|| unread(session))),
            };
            let snapshot = archived?;
            let stored_bytes = snapshot.summary.map_or(0, |summary| summary.data_added_packed);
            Ok(StoredDump { meta, name, tree: snapshot.tree, bytes, sha256, stored_bytes })
        })
        .await
    }
}

fn archive<R: Read + Send + 'static>(
    session: &Session,
    source: &DumpSource<R>,
) -> Result<SnapshotFile> {
    let repository = session.checked(session.open()?.to_indexed_ids())?;
    let options = BackupOptions::default().parent_opts(ParentOptions::default().force(true));
    let archived =
        repository.archive(&options, source, SnapshotFile::default(), &[PathBuf::from("/")]);
    session.checked(archived)
}

fn unread(session: &Session) -> Error {
    session.failed(RusticFailure::new("the dump was not read to its end"))
}
