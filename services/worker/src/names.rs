//! Names of databases that are not, or not yet, an org's. Each holds a UUID
//! or a hash of ours, so it is never somebody else's by accident.

use uuid::Uuid;
use yuantus_domain::DatabaseName;
use yuantus_operations::StepError;

use crate::deps::name;

/// What spare databases' names begin with.
pub(crate) const SPARES: &str = "yuantus_mt_spare__";
/// What the names of databases that are restored into begin with.
pub(crate) const RESTORES: &str = "yuantus_mt_restore__";

type Result<T> = std::result::Result<T, StepError>;

/// The template of a bundle, made by this control plane.
pub(crate) fn template(fingerprint: &str, plane: Uuid) -> Result<DatabaseName> {
    let fingerprint = fingerprint.get(..16).unwrap_or(fingerprint);
    let plane = plane.simple().to_string();
    name(&format!("yuantus_mt_tpl__{fingerprint}__{}", &plane[..8]))
}

/// A spare database of the pool. Numbered, so that one that was made but not
/// yet marked when its maker died is found again by its name.
pub(crate) fn pooled(plane: Uuid, slot: usize) -> Result<DatabaseName> {
    name(&format!("{}{slot}", pool_prefix(plane)))
}

/// What the names of the pool's spare databases begin with.
pub(crate) fn pool_prefix(plane: Uuid) -> String {
    let plane = plane.simple().to_string();
    format!("{SPARES}{}__", &plane[..16])
}

/// All spare databases of a pool of `size`.
pub(crate) fn pool(plane: Uuid, size: usize) -> Result<Vec<DatabaseName>> {
    (0..size).map(|slot| pooled(plane, slot)).collect()
}

/// A spare database that an operation makes for itself.
pub(crate) fn own_spare(operation: Uuid) -> Result<DatabaseName> {
    name(&format!("{SPARES}{}", operation.simple()))
}

/// What a restore loads into.
pub(crate) fn restore(operation: Uuid) -> Result<DatabaseName> {
    name(&format!("{RESTORES}{}", operation.simple()))
}

/// What a restore replaced.
pub(crate) fn tombstone(operation: Uuid) -> Result<DatabaseName> {
    name(&format!("yuantus_mt_old__{}", operation.simple()))
}
