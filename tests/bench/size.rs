//! How much is measured.

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
}

impl Size {
    /// What is worth reporting: some minutes.
    pub(crate) fn full() -> Self {
        Self { rounds: 5, orgs: 100, migrations: 10, operations: 4000, database_bytes: 300_000_000 }
    }

    /// What shows that the benchmarks themselves work.
    pub(crate) fn quick() -> Self {
        Self { rounds: 2, orgs: 3, migrations: 2, operations: 200, database_bytes: 20_000_000 }
    }
}
