//! Where files of orgs are in the bucket.

use uuid::Uuid;

use crate::OrgKey;

/// All files of an org: `tenants/<tenant>/orgs/<org>/files/`. No backup has
/// anything there.
pub fn of_org(key: &OrgKey) -> String {
    format!("tenants/{}/orgs/{}/files/", key.tenant, key.org)
}

/// The object of one file. The id is of version 7, so the key says when the
/// upload began.
pub fn of_file(key: &OrgKey, id: Uuid) -> String {
    format!("{}{id}", of_org(key))
}
