//! What was acknowledged.
//!
//! Every org has customers numbered from 1 on, whose contents follow from their
//! number. What a database holds is therefore described by one number, and what
//! a backup may hold by two: those acknowledged when it was asked for, and those
//! sent when it ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{Result, world::World};

/// An org's database.
#[derive(Clone, Debug, Default)]
pub struct Org {
    /// How many customers were acknowledged.
    pub acknowledged: i64,
    /// How many were sent.
    pub sent: i64,
    /// Complete backups.
    pub backups: BTreeMap<String, Backup>,
}

/// A complete backup holds at least, and at most, so many customers.
#[derive(Clone, Copy, Debug)]
pub struct Backup {
    pub least: i64,
    pub most: i64,
}

/// What is known of everything.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// By tenant and org.
    pub orgs: BTreeMap<(String, String), Org>,
    /// Names of what the identity database was made to forget: parts of the
    /// names of databases and of places in the bucket.
    pub forgotten: BTreeSet<String>,
    /// Ids of operations that were asked for.
    pub operations: BTreeSet<String>,
    /// How often what was done.
    pub counts: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
pub struct Model(Mutex<Known>);

impl Model {
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn count(&self, what: &'static str) {
        *self.known().counts.entry(what).or_default() += 1;
    }

    /// Prints the figures.
    pub fn print(&self, took: Duration, world: &World) -> Result<()> {
        let known = self.known();
        let mut out = std::io::stdout().lock();
        writeln!(out, "took\t{} s", took.as_secs())?;
        writeln!(out, "orgs\t{}", known.orgs.len())?;
        let rows: i64 = known.orgs.values().map(|org| org.acknowledged).sum();
        writeln!(out, "customers acknowledged\t{rows}")?;
        for (what, count) in known.counts.iter().chain(&world.counts()) {
            writeln!(out, "{what}\t{count}")?;
        }
        Ok(())
    }
}
