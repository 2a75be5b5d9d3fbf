//! How much is measured.

use std::time::Duration;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// How often everything is measured; the medians count.
    pub(crate) rounds: usize,
    /// How many orgs are made in a round.
    pub(crate) orgs: usize,
    /// How many databases are made and migrated in a round.
    pub(crate) migrations: usize,
    /// How many operations run in a round.
    pub(crate) operations: i32,
    /// How large the database of backups is, in bytes.
    pub(crate) database_bytes: i64,
    /// How long a server is asked at a time.
    pub(crate) load: Duration,
    /// How many tenants there are where there are many.
    pub(crate) tenants: i64,
    /// How many orgs' data routes are used.
    pub(crate) databases: usize,
}

impl Size {
    /// What is worth reporting: some minutes.
    pub(crate) fn full() -> Self {
        Self {
            rounds: 5,
            orgs: 100,
            migrations: 10,
            operations: 4000,
            database_bytes: 300_000_000,
            load: Duration::from_secs(3),
            tenants: 100_000,
            databases: 1000,
        }
    }

    /// What shows that the benchmarks themselves work.
    pub(crate) fn quick() -> Self {
        Self {
            rounds: 2,
            orgs: 3,
            migrations: 2,
            operations: 200,
            database_bytes: 20_000_000,
            load: Duration::from_millis(200),
            tenants: 2000,
            databases: 10,
        }
    }
}
