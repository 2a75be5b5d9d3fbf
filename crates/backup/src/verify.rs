//! Reading a backup whole and comparing it with its manifest.

use crate::{Error, Manifest, Repository, Result};

/// Reads the whole dump back from S3 and compares its size and SHA-256 with the manifest, and the
/// manifest with the one in the repository.
pub async fn verify(repository: &Repository, manifest: &Manifest) -> Result<()> {
    let kept = repository.manifest(&manifest.snapshot_id).await?;
    if kept != *manifest {
        return Err(Error::Mismatch {
            snapshot_id: manifest.snapshot_id.clone(),
            what: "another manifest",
            found: kept.backup_id,
            expected: manifest.backup_id.clone(),
        });
    }
    repository.open_checked(manifest).await?.prove().await
}
