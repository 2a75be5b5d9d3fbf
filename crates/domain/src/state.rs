//! The states things are in, as words that are the same in the database, the
//! API and the logs.

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every state.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Reads a stored word back.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

states! {
    /// Where a tenant is in its life.
    TenantStatus {
        /// Being set up.
        Provisioning = "PROVISIONING",
        /// In use.
        Active = "ACTIVE",
        /// Not served, until a platform administrator says so.
        Suspended = "SUSPENDED",
        /// Setting it up failed.
        Failed = "FAILED",
    }
}
states! {
    /// Where an org is in its life.
    OrgStatus {
        /// Its database is being made.
        Provisioning = "PROVISIONING",
        /// Its database can be used.
        Active = "ACTIVE",
        /// Making its database failed.
        Failed = "FAILED",
    }
}
states! {
    /// Where a database is in its life.
    DatabaseState {
        /// Not there yet, or not migrated yet.
        Provisioning = "PROVISIONING",
        /// Can be used.
        Ready = "READY",
        /// Making it failed; nothing of it is on the server.
        Failed = "FAILED",
    }
}
states! {
    /// Where a backup is in its life.
    BackupState {
        /// Being made.
        Creating = "CREATING",
        /// Complete and restorable.
        Complete = "COMPLETE",
        /// Making it failed; nothing of it is in S3.
        Failed = "FAILED",
    }
}
states! {
    /// Where an operation is.
    OperationState {
        /// Waiting for a worker, its turn or its next attempt.
        Pending = "PENDING",
        /// A worker is at it.
        Running = "RUNNING",
        /// Done.
        Succeeded = "SUCCEEDED",
        /// Given up.
        Failed = "FAILED",
        /// Stopped on request.
        Cancelled = "CANCELLED",
    }
}

impl OperationState {
    /// Whether nothing more will happen unless somebody retries.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}
