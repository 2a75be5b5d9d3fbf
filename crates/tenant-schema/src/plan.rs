//! Compares what a database has with what the bundle holds.

use std::collections::BTreeMap;

use yuantus_domain::DatabaseName;

use crate::{Bundle, Error, Migration, Result, history::Applied};

/// What is to be done with a database.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The newest version it has.
    pub(crate) revision: i64,
    /// What it lacks, oldest first.
    pub(crate) pending: Vec<&'a Migration>,
}

impl<'a> Plan<'a> {
    /// Refuses a history that the bundle cannot have made.
    pub(crate) fn new(
        bundle: &'a Bundle,
        history: &[Applied],
        database: &DatabaseName,
    ) -> Result<Self> {
        let known: BTreeMap<i64, &Migration> =
            bundle.migrations().iter().map(|m| (m.version, m)).collect();
        for applied in history {
            let Some(migration) = known.get(&applied.version) else {
                return Err(Error::NotInBundle {
                    database: database.clone(),
                    version: applied.version,
                    description: applied.description.clone(),
                });
            };
            // One that was begun and did not end may be mended.
            if applied.finished && applied.checksum != migration.checksum {
                let (file, database) = (migration.file.clone(), database.clone());
                return Err(Error::ChecksumChanged { file, database });
            }
        }
        let finished: Vec<i64> = history.iter().filter(|a| a.finished).map(|a| a.version).collect();
        let revision = finished.iter().copied().max().unwrap_or(0);
        let pending: Vec<&Migration> =
            known.into_values().filter(|m| !finished.contains(&m.version)).collect();
        match pending.first().filter(|migration| migration.version < revision) {
            None => Ok(Self { revision, pending }),
            Some(late) => Err(Error::OutOfOrder {
                file: late.file.clone(),
                applied: revision,
                database: database.clone(),
            }),
        }
    }
}
