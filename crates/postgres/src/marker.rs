//! The marker: a JSON comment on each database that says which plane made it,
//! what for, and in which operation.
//!
//! Invariant: nothing is renamed over, cloned or dropped unless its marker
//! names the same plane. A database without a marker is somebody else's. One
//! that is in use is never dropped: at most it becomes a tombstone.
//!
//! The marker is the server's own word on what happened, beside that of the
//! identity database: who claimed the database last, and whether an org has
//! ever had it. Where the two differ, nothing is destroyed.

use serde::{Deserialize, Serialize};
use yuantus_domain::DatabaseName;

use crate::{Identifier, Result};

/// How much of a role's seed is in its name.
const NAMED: usize = 12;

/// What a database is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Migrated once per bundle, then cloned.
    Template,
    /// A clone waiting to be assigned.
    Spare,
    /// An org's.
    Tenant,
    /// Being restored into.
    Restore,
    /// What a restore replaced, kept for a while.
    Tombstone,
}

impl Kind {
    /// The word in the marker.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Spare => "spare",
            Self::Tenant => "tenant",
            Self::Restore => "restore",
            Self::Tombstone => "tombstone",
        }
    }
}

/// The role that waits with a spare database. It cannot log in, and its
/// password is that of the org to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRole {
    /// Names the key that its password is derived with.
    pub key: String,
    /// What its password is derived from.
    pub seed: String,
}

impl WaitingRole {
    /// What the names of roles begin with that wait with this database.
    pub(crate) fn prefix(database: &DatabaseName) -> String {
        format!("{database}__")
    }

    /// The role's name. Spare databases of one name follow each other; their
    /// roles are never of one name, so that whoever looked at the former does
    /// not take the role of the latter.
    pub(crate) fn name(&self, database: &DatabaseName) -> Result<Identifier> {
        let seed = self.seed.get(..NAMED).unwrap_or(&self.seed);
        Identifier::new(&(Self::prefix(database) + seed))
    }
}

/// `COMMENT ON DATABASE`, as JSON: the proof that a plane made the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The deployment's UUID.
    pub plane: String,
    /// What the database is for.
    pub kind: Kind,
    /// The bundle it was migrated with; empty where that is not known.
    pub fingerprint: String,
    /// The operation that made it what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// `tenant/org`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The role that waits with a spare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<WaitingRole>,
    /// The newest claim that worked on the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimStamp>,
    /// Whether an org has, or had, this database: it may hold what nobody else
    /// has. Markers that do not say count as if they said so.
    #[serde(default = "yes")]
    pub in_use: bool,
}

/// One claim of an operation, as the server remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimStamp {
    /// The claim's epoch. Epochs only grow, so one that is not above the
    /// newest on the server is of an identity database that was rolled back.
    pub epoch: i64,
    /// Tells claims of one epoch apart, which then are of two histories.
    pub nonce: String,
}

impl ClaimStamp {
    /// Whether a claim with this stamp follows the one with stamp `before`, or
    /// is the same.
    pub fn follows(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| self.epoch > before.epoch || self == before)
    }
}

const fn yes() -> bool {
    true
}

impl Marker {
    /// Reads a comment; any other comment than a marker is `None`.
    pub(crate) fn read(comment: Option<&str>) -> Option<Self> {
        serde_json::from_str(comment?).ok()
    }

    pub(crate) fn write(&self) -> String {
        // A struct of strings and a unit enum always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_and_other_comments_are_not_markers() {
        let marker = Marker {
            plane: "p".into(),
            kind: Kind::Tenant,
            fingerprint: "f".into(),
            operation: None,
            owner: Some("tenant-1/org-1".into()),
            role: Some(WaitingRole { key: "k".into(), seed: "s".into() }),
            claim: Some(ClaimStamp { epoch: 7, nonce: "n".into() }),
            in_use: false,
        };
        assert_eq!(Marker::read(Some(&marker.write())).as_ref(), Some(&marker));
        for other in
            [None, Some(""), Some("default administrative connection database"), Some("{}")]
        {
            assert_eq!(Marker::read(other), None);
        }
    }

    #[test]
    fn a_marker_of_before_is_in_use_and_was_never_claimed() {
        let old = r#"{"plane":"p","kind":"tenant","fingerprint":""}"#;
        let marker = Marker::read(Some(old)).unwrap();
        assert!(marker.in_use && marker.claim.is_none(), "{marker:?}");
    }

    #[test]
    fn a_claim_follows_only_those_of_lower_epochs() {
        let stamp = |epoch, nonce: &str| ClaimStamp { epoch, nonce: nonce.into() };
        let before = stamp(7, "a");
        assert!(stamp(7, "b").follows(None) && stamp(8, "b").follows(Some(&before)));
        assert!(before.follows(Some(&before)), "a claim goes on");
        assert!(!stamp(7, "b").follows(Some(&before)), "another of the same epoch");
        assert!(!stamp(6, "a").follows(Some(&before)));
    }
}
