//! What a database holds besides what can be loaded as its owner: who owns
//! what, who may do what, and what it sets for its sessions. It is read in the
//! snapshot that is dumped, kept beside the dump, and put back by statements
//! of ours, so that roles can be others by then, or be gone.
//!
//! Invariant: whatever a tenant's role can grant, own or set is put back or
//! named, and keeps no dump from being loaded.

pub(crate) mod acl;
pub(crate) mod policies;
pub(crate) mod readable;
pub(crate) mod rights;
pub(crate) mod settings;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::{
    Result,
    identifier::Literal,
    session::{Doing, SHORT, Session, WORK},
};
pub use acl::Grant;
pub use policies::Policy;
pub use settings::DatabaseSettings;

const READ: &str = include_str!("read.sql");

/// Of how many large objects owner and rights are kept. Where there are more,
/// all belong to the owner role after a restore, and the org's role may read
/// and write them.
pub(crate) const LARGE_OBJECTS: u32 = 100_000;

/// Kind, names and arguments of an object, as
/// `pg_identify_object_as_address` has them.
pub type Address = (String, Vec<String>, Vec<String>);

/// What stands beside a dump. `role` and the names of other roles are those of
/// the server that was dumped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contents {
    /// The role that the org logged in as.
    pub role: String,
    /// The role that it logged in as when it was dumped, where that is another.
    #[serde(skip)]
    pub former_role: String,
    /// Where functions find what they name without a schema: what the org's
    /// sessions begin with, then all schemas.
    pub search_path: String,
    /// Functions that indexes may call only because PostgreSQL puts their body
    /// in their place, which it does of none that sets a search path.
    pub inlined: Vec<Address>,
    /// What does not belong to the owner role.
    pub owners: Vec<Owned>,
    /// Rights that are not those an object is made with.
    pub rights: Vec<Rights>,
    /// Rights on what will be made.
    pub defaults: Vec<Defaults>,
    /// Row-level policies for some roles only.
    pub policies: Vec<Policy>,
    /// What belongs to the database as a whole.
    pub settings: DatabaseSettings,
}

/// Objects of one owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// The owner.
    pub role: String,
    /// What it owns.
    pub objects: Vec<Address>,
}

/// Objects with the same rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Whose they are.
    pub owner: String,
    /// Whether the owner has every right on them; if so `grants` does not say it.
    pub owner_has_all: bool,
    /// The rights.
    pub grants: Vec<Grant>,
    /// The objects.
    pub objects: Vec<Address>,
}

/// `ALTER DEFAULT PRIVILEGES` of one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// Whoever makes the objects.
    pub role: String,
    /// In which schema; in any if `None`.
    pub schema: Option<String>,
    /// What is made, as in `pg_default_acl.defaclobjtype`.
    pub kind: char,
    /// As in [`Rights`].
    pub owner_has_all: bool,
    /// The rights.
    pub grants: Vec<Grant>,
}

impl Contents {
    /// Reads them in the session's own transaction. `role` is the org's.
    pub(crate) async fn read(session: &mut Session, doing: Doing<'_>, role: &str) -> Result<Self> {
        // Expressions are to name everything in full.
        session.run(doing, "SET LOCAL search_path = ''".to_owned(), SHORT).await?;
        let sql = READ
            .replace("{large_objects}", &LARGE_OBJECTS.to_string())
            .replace("{role}", &Literal(role).to_string());
        let mut contents: Self = read_json(session, doing, sql).await?;
        session.run(doing, "RESET search_path".to_owned(), SHORT).await?;
        let settings = settings::of("current_database()");
        contents.settings = read_json(session, doing, settings).await?;
        for rights in &mut contents.rights {
            acl::drop_implied(&mut rights.grants, &rights.owner, rights.owner_has_all);
        }
        for defaults in &mut contents.defaults {
            acl::drop_implied(&mut defaults.grants, &defaults.role, defaults.owner_has_all);
        }
        Ok(contents)
    }

    /// The same where the org's role is `role`.
    pub fn for_role(&self, role: &str) -> Self {
        let mut contents = self.clone();
        let former = std::mem::replace(&mut contents.role, role.to_owned());
        contents.former_role.clone_from(&former);
        let map = |name: &mut String| {
            if *name == former {
                role.clone_into(name);
            }
        };
        contents.each_role(map);
        contents
    }

    /// Whether anything is to be the org's role's own.
    pub fn names_role(&self) -> bool {
        self.roles().contains(&self.role)
    }

    /// Every role that is named.
    pub(crate) fn roles(&self) -> BTreeSet<String> {
        let mut roles = BTreeSet::new();
        let mut copy = self.clone();
        copy.each_role(|name| {
            roles.insert(name.clone());
        });
        roles
    }

    fn each_role(&mut self, mut visit: impl FnMut(&mut String)) {
        for owned in &mut self.owners {
            visit(&mut owned.role);
        }
        for rights in &mut self.rights {
            visit(&mut rights.owner);
            rights.grants.iter_mut().for_each(|grant| grant.each_role(&mut visit));
        }
        for defaults in &mut self.defaults {
            visit(&mut defaults.role);
            defaults.grants.iter_mut().for_each(|grant| grant.each_role(&mut visit));
        }
        for policy in &mut self.policies {
            policy.roles.iter_mut().for_each(&mut visit);
        }
        self.settings.each_role(&mut visit);
    }
}

/// Reads the one JSON text that a query answers.
pub(crate) async fn read_json<T: serde::de::DeserializeOwned>(
    session: &mut Session,
    doing: Doing<'_>,
    sql: String,
) -> Result<T> {
    let rows = session.run(doing, sql, WORK).await?;
    let read = || -> Result<T, sqlx::Error> {
        let row = rows.last().ok_or(sqlx::Error::RowNotFound)?;
        let text: String = row.try_get(0)?;
        serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
    };
    read().map_err(|source| doing.failed(source))
}
