//! What operations there are and which of them exclude each other.

use std::fmt;

use crate::OrgKey;

macro_rules! operation_types {
    ($($(#[$doc:meta])* $variant:ident,)+) => {
        /// What an operation does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum OperationType { $($(#[$doc])* $variant,)+ }

        impl OperationType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// Reads a stored name back.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|t| t.as_str() == name)
            }
        }
    };
}

operation_types! {
    /// Makes an org's database.
    CreateDatabase,
    /// Brings a database to the bundle's newest migration.
    MigrateDatabase,
    /// Makes a full backup.
    CreateBackup,
    /// Reads a backup whole and compares it with its manifest.
    VerifyBackup,
    /// Restores a backup into a new database and swaps it in.
    RestoreDatabase,
}

impl OperationType {
    /// The names of the steps, in order. Stored with every operation, so that
    /// one begun by an older version is finished by its own list.
    pub const fn steps(self) -> &'static [&'static str] {
        match self {
            Self::CreateDatabase => &["assign_database", "migrate_database"],
            Self::MigrateDatabase => &["apply_migrations"],
            Self::CreateBackup => &[
                "open_repository",
                "dump_database",
                "verify_backup",
                "trial_restore",
                "publish_backup",
            ],
            Self::VerifyBackup => &["read_backup", "record_verification"],
            Self::RestoreDatabase => {
                &["prepare_database", "load_dump", "verify_rows", "swap_database", "record_swap"]
            }
        }
    }
}

impl fmt::Display for OperationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What at most one operation at a time works on: an org's database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane(String);

impl Lane {
    /// The lane of an org's database.
    pub fn database(key: &OrgKey) -> Self {
        Self(key.to_string())
    }

    /// Takes a stored lane.
    pub fn stored(lane: String) -> Self {
        Self(lane)
    }

    /// The lane as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
