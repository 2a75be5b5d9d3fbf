//! The repository of a backup and the key that opens it.

use uuid::Uuid;
use yuantus_auth::purpose;
use yuantus_backup::{Manifest, Repository, RepositoryKey};
use yuantus_domain::OrgKey;
use yuantus_identity::for_org;
use yuantus_operations::{Run, StepError};
use yuantus_postgres::Contents;

use crate::{Deps, failure};

/// The key of an org's repositories.
pub(crate) async fn open_key(
    deps: &Deps,
    run: &Run,
    org: &OrgKey,
) -> Result<RepositoryKey, StepError> {
    let row = for_org(org).backup_key(run.db()).await?;
    let row = row.ok_or_else(|| StepError::refuse("BACKUP_KEY_MISSING", "the org has no key"))?;
    let aad = purpose::backup_key(org, row.version.unsigned_abs());
    let secret = deps.sealer.open(&row.sealed_key, &aad).map_err(failure::auth)?;
    RepositoryKey::from_secret(&secret).map_err(failure::backup)
}

/// The repository at `prefix`. It refuses to write once the operation's lease
/// may have ended.
pub(crate) async fn repository(
    deps: &Deps,
    run: &Run,
    org: &OrgKey,
    prefix: &str,
) -> Result<Repository, StepError> {
    let key = open_key(deps, run, org).await?;
    Ok(Repository::at(&deps.store(run), prefix, &key))
}

/// Opens the repository anew and sees that the snapshot is there with the
/// manifest that was kept, and that the dump it names is whole in the index.
pub(crate) async fn check(repository: &Repository, manifest: &Manifest) -> Result<(), StepError> {
    let kept = repository.manifest(&manifest.snapshot_id).await.map_err(failure::reading)?;
    if kept != *manifest {
        return Err(StepError::refuse(failure::DAMAGED, "the manifest in the repository differs"));
    }
    let dump = repository.open_dump(&manifest.snapshot_id, &manifest.dump_path).await;
    if dump.map_err(failure::reading)?.size() != manifest.dump_bytes {
        return Err(StepError::refuse(failure::DAMAGED, "the dump has another size"));
    }
    Ok(())
}

/// What stands beside the dump for an org whose role is `role`; `None` in
/// backups of former versions.
pub(crate) fn contents(manifest: &Manifest, role: &str) -> Result<Option<Contents>, StepError> {
    let stored = &manifest.facts.contents;
    if stored.is_null() {
        return Ok(None);
    }
    let contents: Contents = serde_json::from_value(stored.clone())
        .map_err(|error| StepError::fail(failure::DAMAGED, error))?;
    Ok(Some(contents.for_role(role)))
}

/// Where a backup is and what is in it, as recorded.
pub(crate) async fn recorded(
    run: &Run,
    org: &OrgKey,
    backup: Uuid,
) -> Result<(String, Option<Manifest>), StepError> {
    let row = for_org(org).backup(run.db(), backup).await?;
    let row =
        row.ok_or_else(|| StepError::refuse("BACKUP_NOT_FOUND", "there is no such backup"))?;
    let manifest = row.manifest.map(serde_json::from_value).transpose();
    Ok((row.prefix, manifest.map_err(|error| StepError::fail(failure::DAMAGED, error))?))
}
