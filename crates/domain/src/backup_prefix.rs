//! Where backups are in the bucket.

use uuid::Uuid;

use crate::OrgKey;

/// Everything of one backup: `tenants/<tenant>/orgs/<org>/generations/<id>/`.
pub fn of_backup(key: &OrgKey, backup: Uuid) -> String {
    format!("tenants/{}/orgs/{}/generations/{backup}/", key.tenant, key.org)
}

/// What one claim of the operation that makes the backup writes. S3 cannot
/// refuse a worker that lost its lease, so each claim has its own place and
/// the one that is recorded counts. `nonce` is random: epochs come again where
/// an identity database was rolled back, places do not.
pub fn of_claim(key: &OrgKey, backup: Uuid, epoch: i64, nonce: Uuid) -> String {
    let nonce = nonce.simple().to_string();
    format!("{}{epoch}-{}/", of_backup(key, backup), &nonce[..8])
}
