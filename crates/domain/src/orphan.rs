//! What an operation may leave behind.

use std::fmt;

/// What kind of thing was left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrphanKind {
    /// A database on the server of the orgs' databases.
    Database,
    /// A role there.
    Role,
    /// Objects in the bucket whose keys begin with this.
    BackupPrefix,
}

impl OrphanKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Database, Self::Role, Self::BackupPrefix];

    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Role => "role",
            Self::BackupPrefix => "backup_prefix",
        }
    }

    /// Reads a stored word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// As people read it.
impl fmt::Display for OrphanKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "database",
            Self::Role => "role",
            Self::BackupPrefix => "backup prefix",
        })
    }
}
