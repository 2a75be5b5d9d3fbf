//! Making databases: blank ones, templates, and clones of templates.
//!
//! Invariant: a database is marked as soon as it is what its marker says. One
//! that a crash left unmarked before is adopted: see `adoption`.
//!
//! `CREATE DATABASE` copies neither database-level rights nor the comment;
//! both are set here, in one transaction. CONNECT is always revoked from
//! PUBLIC.

use sqlx::{AssertSqlSafe, Connection};
use tokio::time::timeout;
use yuantus_domain::DatabaseName;

use crate::{
    DatabaseInfo, Error, Identifier, Kind, LaneSession, Marker, Result,
    adoption::{check_ours, expect_kind, expect_plane},
    bootstrap::{APP_ROLE, OWNER_ROLE},
    catalog,
    identifier::Literal,
    session::{Doing, SHORT, Session},
};

/// The schema `public` and the rights on what will be made. A restore gets the
/// rights from its archive instead: defaults given before would undo what the
/// original had revoked.
const PUBLIC_OWNER: &str = "ALTER SCHEMA public OWNER TO yuantus_tenant_owner; ";
const RIGHTS: &str = "\
    REVOKE ALL ON SCHEMA public FROM PUBLIC; \
    GRANT USAGE ON SCHEMA public TO yuantus_tenant_app; \
    ALTER DEFAULT PRIVILEGES FOR ROLE yuantus_tenant_owner \
      GRANT USAGE ON SCHEMAS TO yuantus_tenant_app; \
    ALTER DEFAULT PRIVILEGES FOR ROLE yuantus_tenant_owner \
      GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO yuantus_tenant_app; \
    ALTER DEFAULT PRIVILEGES FOR ROLE yuantus_tenant_owner \
      GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO yuantus_tenant_app; \
    ALTER DEFAULT PRIVILEGES FOR ROLE yuantus_tenant_owner \
      GRANT EXECUTE ON FUNCTIONS TO yuantus_tenant_app; \
    ALTER DEFAULT PRIVILEGES FOR ROLE yuantus_tenant_owner \
      GRANT USAGE ON TYPES TO yuantus_tenant_app; ";

/// What is done for a clone before anybody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead<'a> {
    /// It is to wait for an org. It is connected to once: the first session of
    /// a database writes the cache files that all later ones begin with, which
    /// takes longer than the rest of a login. And it gets its role: the server
    /// hashes a password thousands of times to see whether it is empty.
    All {
        /// What the server gets of the role's password: [`crate::scram::verifier`].
        verifier: &'a str,
    },
    /// Somebody waits for it.
    Nothing,
}

impl LaneSession {
    /// Makes an empty database, or finishes one that was begun: owned by the
    /// owner role, UTF-8, closed to PUBLIC. Unless it is to be restored into,
    /// the app role has data rights on what will be made in it.
    pub async fn create_blank(&mut self, name: &DatabaseName, marker: &Marker) -> Result<()> {
        let sql = format!(
            "CREATE DATABASE {} OWNER {OWNER_ROLE} TEMPLATE template0 \
             ENCODING 'UTF8' STRATEGY WAL_LOG",
            Identifier::from(name)
        );
        let made = self.create(name, marker, sql, Ahead::Nothing).await;
        let open = self.explain_refusal("template0", made).await?;
        if open { self.prepare_inside(name, marker.kind).await } else { Ok(()) }
    }

    /// Clones a template, or finishes a clone that was begun.
    pub async fn clone_template(
        &mut self,
        template: &DatabaseName,
        name: &DatabaseName,
        marker: &Marker,
        ahead: Ahead<'_>,
    ) -> Result<()> {
        let sql = format!(
            "CREATE DATABASE {} OWNER {OWNER_ROLE} TEMPLATE {} STRATEGY WAL_LOG",
            Identifier::from(name),
            Identifier::from(template)
        );
        let made = self.create(name, marker, sql, ahead).await;
        self.explain_refusal(template.as_str(), made).await.map(drop)
    }

    /// Closes a finished template: nobody connects to it any more, so it can
    /// be cloned at any time.
    pub async fn seal_template(&mut self, name: &DatabaseName) -> Result<()> {
        let doing = Doing("seal template", name.as_str());
        let marker = self.look_up(doing, name).await?.and_then(|info| info.marker);
        expect_kind(name, marker.as_ref(), Kind::Template)?;
        let sql = format!(
            "ALTER DATABASE {} ALLOW_CONNECTIONS false; \
             SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE datname = {} AND usesysid IS NOT NULL",
            Identifier::from(name),
            Literal(name.as_str())
        );
        self.run(doing, sql).await.map(drop)
    }

    /// Writes the marker of a database of the same plane anew.
    pub async fn mark(&mut self, name: &DatabaseName, marker: &Marker) -> Result<()> {
        let doing = Doing("mark database", name.as_str());
        let found = self.look_up(doing, name).await?;
        let found = found.ok_or_else(|| Error::Missing { database: name.to_string() })?;
        expect_plane(name, found.marker.as_ref(), &marker.plane)?;
        self.check_claim(&found)?;
        self.run(doing, comment(name, &self.stamped(marker))).await.map(drop)
    }

    /// Sees that the org's database is this plane's and remembers no later
    /// claim, and makes it remember this one. To be called before anything is
    /// read from or done to it. One that is not there remembers nothing.
    pub async fn stamp(&mut self, name: &DatabaseName, plane: &str) -> Result<()> {
        let doing = Doing("stamp database", name.as_str());
        let Some(found) = self.look_up(doing, name).await? else { return Ok(()) };
        expect_plane(name, found.marker.as_ref(), plane)?;
        expect_kind(name, found.marker.as_ref(), Kind::Tenant)?;
        self.check_claim(&found)?;
        let Some(marker) = &found.marker else { return Ok(()) };
        self.run(doing, comment(name, &self.stamped(marker))).await.map(drop)
    }

    /// Makes the org's database say that an org has it.
    pub async fn mark_in_use(&mut self, name: &DatabaseName, plane: &str) -> Result<()> {
        let doing = Doing("mark database in use", name.as_str());
        let found = self.look_up(doing, name).await?;
        let found = found.ok_or_else(|| Error::Missing { database: name.to_string() })?;
        expect_kind(name, found.marker.as_ref(), Kind::Tenant)?;
        expect_plane(name, found.marker.as_ref(), plane)?;
        self.check_claim(&found)?;
        let Some(marker) = found.marker else { return Ok(()) };
        let marker = self.stamped(&Marker { in_use: true, ..marker });
        self.run(doing, comment(name, &marker)).await.map(drop)
    }

    /// Whether the database, now there and marked, takes connections.
    async fn create(
        &mut self,
        name: &DatabaseName,
        marker: &Marker,
        create: String,
        ahead: Ahead<'_>,
    ) -> Result<bool> {
        let doing = Doing("create database", name.as_str());
        let found = self.look_up(doing, name).await?;
        if let Some(found) = &found {
            check_ours(found, &marker.plane, marker.kind)?;
            self.check_claim(found)?;
        } else {
            self.run(doing, create).await?;
        }
        let mut rights = format!("REVOKE ALL ON DATABASE {} FROM PUBLIC; ", Identifier::from(name));
        if let Ahead::All { verifier } = ahead {
            self.run(doing, rights.clone()).await?;
            self.warm(name).await?;
            self.drop_waiting_roles(name).await?;
            rights += &waiting_role(name, marker, verifier)?;
        }
        self.run(doing, rights + &comment(name, &self.stamped(marker))).await?;
        Ok(found.is_none_or(|found| found.allows_connections))
    }

    async fn warm(&self, name: &DatabaseName) -> Result<()> {
        let options = self.server.options(Some(name)).application_name(&self.tag().to_string());
        let session = Session::new(self.server.connect(&options).await?);
        session.close().await;
        Ok(())
    }

    async fn prepare_inside(&mut self, name: &DatabaseName, kind: Kind) -> Result<()> {
        let doing = Doing("prepare database", name.as_str());
        let rights = if kind == Kind::Restore { "" } else { RIGHTS };
        let access = self.server.access(name, self.tag());
        let mut connection = access.connect().await?;
        let sql = sqlx::raw_sql(AssertSqlSafe(format!("{PUBLIC_OWNER}{rights}")));
        let work = async {
            sql.execute(&mut connection).await?;
            connection.close().await
        };
        let late =
            || Error::Timeout { operation: doing.0, subject: name.to_string(), after: SHORT };
        timeout(SHORT, work).await.map_err(|_| late())?.map_err(|source| doing.failed(source))
    }

    pub(crate) async fn look_up(
        &mut self,
        doing: Doing<'_>,
        name: &DatabaseName,
    ) -> Result<Option<DatabaseInfo>> {
        let rows = self.run(doing, catalog::select(&[name])).await?;
        Ok(catalog::databases(&rows, doing)?.pop())
    }
}

/// The role that waits with a spare, where its marker names one: all that it is
/// to be but able to log in.
fn waiting_role(name: &DatabaseName, marker: &Marker, verifier: &str) -> Result<String> {
    let Some(waiting) = &marker.role else { return Ok(String::new()) };
    let (database, role) = (Identifier::from(name), waiting.name(name)?);
    Ok(format!(
        "CREATE ROLE {role} NOLOGIN NOCREATEDB NOCREATEROLE INHERIT PASSWORD {} IN ROLE {APP_ROLE}; \
         GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}; ",
        Literal(verifier)
    ))
}

/// The statement that marks a database.
pub(crate) fn comment(name: &DatabaseName, marker: &Marker) -> String {
    format!("COMMENT ON DATABASE {} IS {}; ", Identifier::from(name), Literal(&marker.write()))
}
