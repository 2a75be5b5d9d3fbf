//! How an operation reaches one database: by a session of ours, or by a child
//! process.
//!
//! Invariant: both carry the lane's tag, so that a later holder of the lane
//! can end them. Always direct, never through a pooler.

use std::fmt;

use sqlx::{PgConnection, postgres::PgConnectOptions};
use yuantus_domain::DatabaseName;

use crate::{
    LaneTag, Result, Server, bootstrap::OWNER_ROLE, environment::environment,
    server::SESSION_SETTINGS,
};

/// One database of a server, for one holder of a lane.
#[derive(Clone)]
pub struct DatabaseAccess {
    server: Server,
    database: DatabaseName,
    tag: LaneTag,
}

impl DatabaseAccess {
    pub(crate) fn new(server: Server, database: DatabaseName, tag: LaneTag) -> Self {
        Self { server, database, tag }
    }

    /// The database.
    pub fn database(&self) -> &DatabaseName {
        &self.database
    }

    /// The lane's tag.
    pub fn tag(&self) -> &LaneTag {
        &self.tag
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The options of a session that acts as the owner role, for pools and
    /// listeners of the caller's own.
    pub fn options(&self) -> PgConnectOptions {
        self.admin_options().options([("role", OWNER_ROLE)])
    }

    /// Opens a session that acts as the owner role, within 5 s.
    pub async fn connect(&self) -> Result<PgConnection> {
        self.server.connect(&self.options()).await
    }

    /// Opens a session as the administrator, who reads what tenants own too.
    pub(crate) async fn connect_as_admin(&self) -> Result<PgConnection> {
        self.server.connect(&self.admin_options()).await
    }

    /// The environment of a child that connects as the administrator, with
    /// `settings` in its session.
    pub(crate) fn environment(&self, settings: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let mut variables = environment(&self.server.url);
        let mut options = String::new();
        let ours = SESSION_SETTINGS.into_iter().chain(self.server.more_settings());
        for (name, value) in ours.chain(settings.iter().copied()) {
            options += &format!(" -c {name}={value}");
        }
        let given = variables.iter().find(|(name, _)| *name == "PGOPTIONS");
        if let Some((_, given)) = given {
            options = format!("{given}{options}");
        }
        variables.push(("PGOPTIONS", options.trim_start().to_owned()));
        variables.push(("PGAPPNAME", self.tag.to_string()));
        variables
    }

    fn admin_options(&self) -> PgConnectOptions {
        self.server.options(Some(&self.database)).application_name(&self.tag.to_string())
    }
}

impl fmt::Debug for DatabaseAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseAccess({} on {:?} as {})", self.database, self.server, self.tag)
    }
}
