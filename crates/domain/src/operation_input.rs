//! What operations are asked to do: written by the API, read by the worker's
//! steps.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::OrgKey;

/// Of operations that need to know nothing beyond their org.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Nothing {}

/// Of `CreateBackup` and `VerifyBackup`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfBackup {
    /// The backup.
    pub backup_id: Uuid,
}

/// Of `RestoreDatabase`; the operation's own org is the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Restore {
    /// The org the backup belongs to.
    pub source: OrgKey,
    /// The backup.
    pub backup_id: Uuid,
    /// Whether the target org was recorded for this restore and has never had
    /// a database.
    pub creates_org: bool,
}
