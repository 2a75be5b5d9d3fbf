//! Reading a backup whole and comparing it with its manifest.

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::{Error, Manifest, Repository, Result};

const OPERATION: &str = "verifying a backup";

/// What is read at once.
const BUFFER: usize = 256 * 1024;

/// Reads the whole dump back from S3 and compares its size and SHA-256 with the manifest, and the
/// manifest with the one in the repository.
pub async fn verify(repository: &Repository, manifest: &Manifest) -> Result<()> {
    let mismatch = |what, found: String, expected: String| Error::Mismatch {
        snapshot_id: manifest.snapshot_id.clone(),
        what,
        found,
        expected,
    };
    let kept = repository.manifest(&manifest.snapshot_id).await?;
    if kept != *manifest {
        return Err(mismatch("another manifest", kept.backup_id, manifest.backup_id.clone()));
    }
    let (bytes, sha256) = digest(repository, manifest).await?;
    if bytes != manifest.dump_bytes {
        return Err(mismatch("size", bytes.to_string(), manifest.dump_bytes.to_string()));
    }
    if sha256 != manifest.dump_sha256 {
        return Err(mismatch("SHA-256", sha256, manifest.dump_sha256.clone()));
    }
    Ok(())
}

async fn digest(repository: &Repository, manifest: &Manifest) -> Result<(u64, String)> {
    let mut dump = repository.open_dump(&manifest.snapshot_id, &manifest.dump_path).await?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = dump.read(&mut buffer).await.map_err(cause)?;
        if read == 0 {
            return Ok((bytes, hex::encode(hash.finalize())));
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// The error of ours that a reader wrapped.
fn cause(error: std::io::Error) -> Error {
    error.downcast::<Error>().unwrap_or(Error::Panicked { operation: OPERATION })
}
