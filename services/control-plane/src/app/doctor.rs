//! What the identity database says, beside what the server of the orgs'
//! databases and the bucket say of themselves. Changes nothing.

use serde::Serialize;
use yuantus_domain::{DatabaseName, DatabaseState, Error, Result, id::PLATFORM};
use yuantus_identity::{
    entity::orphan::Model as Orphan,
    query::{
        inventory::{self, Inventory},
        orphan,
        recovery::{self, Standing},
    },
};
use yuantus_operations::step::chain;
use yuantus_postgres::{DatabaseInfo, Kind, Server};

use super::App;

/// One thing on which the two do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What kind of thing: `plane`, `database`, `tombstone`, `backup` or `orphan`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What is found, for people.
    pub finding: String,
}

impl Difference {
    fn new(kind: &'static str, name: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { kind, name: name.into(), finding: finding.into() }
    }
}

impl App {
    /// Everything on which they do not agree, in the order in which a person
    /// looks at it.
    pub async fn differences(&self) -> Result<Vec<Difference>> {
        let plane = recovery::standing(&self.db).await?.plane.to_string();
        let server = self.server.clone().of_plane(&plane);
        // What is there first: whoever makes something records it before.
        let newest = server.newest_claim().await.map_err(unread)?;
        let standing = recovery::standing(&self.db).await?;
        let there = databases(&server, &plane).await.map_err(unread)?;
        let prefixes = self.prefixes().await.map_err(unread)?;
        let recorded = inventory::read(&self.db).await?;
        let mut found = of_plane(&standing, &server, newest).await?;
        found.extend(of_databases(&there, &recorded));
        found.extend(of_backups(&prefixes, &recorded));
        let mut found = self.without_what_came_meanwhile(found, &server).await?;
        found.extend(orphan::list(&self.db).await?.into_iter().map(left_behind));
        Ok(found)
    }

    /// Where backups are in the bucket: the place of each claim.
    async fn prefixes(&self) -> yuantus_storage::Result<Vec<String>> {
        let mut prefixes = Vec::new();
        for tenant in self.store.folders("tenants/").await? {
            for org in self.store.folders(&format!("{tenant}orgs/")).await? {
                for backup in self.store.folders(&format!("{org}generations/")).await? {
                    prefixes.extend(self.store.folders(&backup).await?);
                }
            }
        }
        Ok(prefixes)
    }

    /// Looks once more at what was made since the server and the bucket were
    /// listed, and so seems to be gone.
    async fn without_what_came_meanwhile(
        &self,
        found: Vec<Difference>,
        server: &Server,
    ) -> Result<Vec<Difference>> {
        let mut left = Vec::new();
        for difference in found {
            let there = match difference.kind {
                _ if difference.finding != GONE && difference.kind != "backup" => false,
                "database" | "tombstone" => {
                    let name = DatabaseName::parse(&difference.name)?;
                    server.database(&name).await.map_err(unread)?.is_some()
                }
                "backup" if difference.finding.ends_with(NOT_IN_BUCKET) => {
                    !self.store.list(&difference.name).await.map_err(unread)?.is_empty()
                }
                _ => false,
            };
            if !there {
                left.push(difference);
            }
        }
        Ok(left)
    }
}

/// What is said of what only the identity database knows.
const GONE: &str = "is recorded, and is not there";
/// How what is said of a backup ends that only the identity database knows.
const NOT_IN_BUCKET: &str = "is complete, and is not in the bucket";

/// A person at the console is told why.
fn unread(error: impl std::error::Error + 'static) -> Error {
    Error::precondition("UNREADABLE", chain(&error))
}

async fn of_plane(standing: &Standing, server: &Server, newest: i64) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    if standing.recovery_since.is_some() {
        let finding = format!("in recovery mode: {}", standing.recovery_reason);
        found.push(Difference::new("plane", PLATFORM, finding));
    }
    if newest > standing.newest_epoch {
        let known = standing.newest_epoch;
        let finding = format!("the server remembers claim {newest}, newest recorded is {known}");
        found.push(Difference::new("plane", PLATFORM, finding));
    }
    let holder = server.recorded_holder().await.map_err(unread)?;
    if let Some(other) = holder.filter(|holder| *holder != standing.instance) {
        let finding = format!("held by another copy of the identity database: {other}");
        found.push(Difference::new("plane", PLATFORM, finding));
    }
    Ok(found)
}

/// What an operation could not remove, of which both sides know.
fn left_behind(orphan: Orphan) -> Difference {
    let Orphan { operation_id, reason, attempts, next_attempt_at, .. } = orphan;
    let finding = format!(
        "was left behind by operation {operation_id} and is tried again at {next_attempt_at} \
         (tried {attempts} times since): {reason}"
    );
    Difference::new("orphan", orphan.name, finding)
}

/// The databases of this plane, whatever they are for.
async fn databases(server: &Server, plane: &str) -> yuantus_postgres::Result<Vec<DatabaseInfo>> {
    let mut all = Vec::new();
    for kind in [Kind::Tenant, Kind::Tombstone, Kind::Restore, Kind::Spare] {
        let of_kind = server.databases(kind).await?.into_iter();
        all.extend(of_kind.filter(|info| info.marker.as_ref().is_some_and(|m| m.plane == plane)));
    }
    Ok(all)
}

fn of_databases(there: &[DatabaseInfo], recorded: &Inventory) -> Vec<Difference> {
    let state = |name: &str| DatabaseState::parse(recorded.databases.get(name)?);
    let mut found = Vec::new();
    for info in there {
        let (name, Some(marker)) = (info.name.as_str(), &info.marker) else { continue };
        let owner = marker.owner.as_deref().unwrap_or("nobody");
        let known = |operation: &Option<String>| {
            operation.as_ref().is_none_or(|id| recorded.operations.contains(id))
        };
        match marker.kind {
            Kind::Tenant if !recorded.databases.contains_key(name) => {
                let finding = format!("is of {owner}, and is not recorded");
                found.push(Difference::new("database", name, finding));
            }
            Kind::Tenant if marker.in_use && state(name) == Some(DatabaseState::Failed) => {
                let finding = format!("is of {owner} and in use, and its org could not be made");
                found.push(Difference::new("database", name, finding));
            }
            Kind::Tombstone if !recorded.tombstones.contains(name) => {
                let finding = format!("was of {owner}, and is not recorded: nothing drops it");
                found.push(Difference::new("tombstone", name, finding));
            }
            Kind::Restore | Kind::Spare if !known(&marker.operation) => {
                let finding = "was made by an operation that is not recorded: nothing drops it";
                found.push(Difference::new("database", name, finding));
            }
            _ => {}
        }
    }
    let is_there = |name: &String| there.iter().any(|info| info.name.as_str() == name);
    let gone = |name: &String, kind| Difference::new(kind, name, GONE);
    let ready = recorded.databases.keys().filter(|name| state(name) == Some(DatabaseState::Ready));
    found.extend(ready.filter(|name| !is_there(name)).map(|name| gone(name, "database")));
    let tombstones = recorded.tombstones.iter().filter(|name| !is_there(name));
    found.extend(tombstones.map(|name| gone(name, "tombstone")));
    found
}

fn of_backups(prefixes: &[String], recorded: &Inventory) -> Vec<Difference> {
    let unknown = prefixes.iter().filter(|prefix| !recorded.prefixes.contains(*prefix));
    let unknown = unknown.map(|prefix| {
        Difference::new(
            "backup",
            prefix,
            "is in the bucket, and is not recorded: nothing deletes it",
        )
    });
    let gone = recorded.backups.iter().filter(|(prefix, _)| !prefixes.contains(prefix));
    let gone = gone.map(|(prefix, name)| {
        Difference::new("backup", prefix, format!("of {name} {NOT_IN_BUCKET}"))
    });
    unknown.chain(gone).collect()
}
