//! Dropping databases and roles.
//!
//! Invariant: only a database that this plane made is dropped, as its marker
//! says, or as its name says where a crash left it unmarked. One that an org
//! has is not dropped, nor one that remembers a later claim. What is not there
//! needs no dropping.

use sqlx::Row;
use yuantus_domain::DatabaseName;

use crate::{
    Error, Identifier, Kind, LaneSession, Result, WaitingRole,
    adoption::check_ours,
    bootstrap::{APP_ROLE, OWNER_ROLE},
    identifier::Literal,
    session::{DROP, Doing, Session},
};

impl LaneSession {
    /// Drops a database of this plane and kind and ends its sessions; one that
    /// a crash left unmarked too. It forces a checkpoint, which may take half
    /// a minute. Of a spare, the role that waits with it goes before.
    pub async fn drop_database(
        &mut self,
        name: &DatabaseName,
        plane: &str,
        kind: Kind,
    ) -> Result<()> {
        let doing = Doing("drop database", name.as_str());
        let Some(found) = self.look_up(doing, name).await? else {
            return Ok(());
        };
        check_ours(&found, plane, kind)?;
        self.check_claim(&found)?;
        if kind == Kind::Tenant && found.marker.as_ref().is_none_or(|marker| marker.in_use) {
            return Err(Error::InUse { database: name.to_string() });
        }
        // The role first: without it a spare is no use, and is dropped again;
        // a role without its spare nobody would look for.
        if kind == Kind::Spare {
            self.drop_waiting_roles(name).await?;
        }
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", Identifier::from(name));
        self.run_within(doing, sql, DROP).await.map(drop)
    }

    /// Drops the roles that wait with a spare database of this name, or waited
    /// with a former one.
    pub async fn drop_waiting_roles(&mut self, name: &DatabaseName) -> Result<()> {
        let doing = Doing("drop waiting roles", name.as_str());
        for role in self.server.waiting_roles(&WaitingRole::prefix(name), doing).await? {
            self.drop_role(&role).await?;
        }
        Ok(())
    }

    /// Makes the role of an org that is to come, if it is not there: it cannot
    /// log in before the org has its database.
    pub async fn make_role(&mut self, role: &str) -> Result<()> {
        let doing = Doing("make role", role);
        if self.server.role_exists(role).await? {
            return Ok(());
        }
        let name = Identifier::new(role)?;
        let sql = format!(
            "CREATE ROLE {name} NOLOGIN NOCREATEDB NOCREATEROLE INHERIT IN ROLE {APP_ROLE}"
        );
        self.run(doing, sql).await.map(drop)
    }

    /// Drops what [`Self::make_role`] made. A role that can log in, or whose
    /// rights reach into a database, is somebody's: it stays.
    pub async fn drop_role_to_come(&mut self, role: &str) -> Result<()> {
        let doing = Doing("drop role", role);
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = {} AND NOT r.rolcanlogin \
             AND NOT EXISTS (SELECT FROM pg_shdepend s \
               WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid))",
            Literal(role)
        );
        let rows = self.run(doing, sql).await?;
        if !crate::server::first::<bool>(&rows, doing)? {
            return Ok(());
        }
        self.run(doing, format!("DROP ROLE IF EXISTS {}", Identifier::new(role)?)).await.map(drop)
    }

    /// Drops a tenant's role: ends its sessions, takes back its rights on
    /// databases, and gives what it owns in them to the owner role.
    pub async fn drop_role(&mut self, role: &str) -> Result<()> {
        let doing = Doing("drop role", role);
        let name = Identifier::new(role)?;
        if !self.server.role_exists(role).await? {
            return Ok(());
        }
        let (granted, inhabited) = self.traces(doing, role).await?;
        for database in &inhabited {
            self.leave(doing, &name, database).await?;
        }
        let mut sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {}; ",
            Literal(role)
        );
        for database in &granted {
            sql += &format!("REVOKE ALL ON DATABASE {} FROM {name}; ", Identifier::new(database)?);
        }
        self.run(doing, sql + &format!("DROP ROLE IF EXISTS {name}")).await.map(drop)
    }

    /// The databases the role has rights on, and those in which it owns
    /// objects or has rights on some.
    async fn traces(&mut self, doing: Doing<'_>, role: &str) -> Result<(Vec<String>, Vec<String>)> {
        let sql = format!(
            "SELECT DISTINCT d.datname::text, s.dbid <> 0 \
             FROM pg_shdepend s \
             JOIN pg_roles r ON s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid \
             JOIN pg_database d ON d.oid = CASE s.dbid WHEN 0 THEN s.objid ELSE s.dbid END \
             WHERE r.rolname = {} \
             AND (s.dbid <> 0 OR s.classid = 'pg_database'::regclass)",
            Literal(role)
        );
        let (mut granted, mut inhabited) = (Vec::new(), Vec::new());
        for row in self.run(doing, sql).await? {
            let read = || Ok((row.try_get::<String, _>(0)?, row.try_get::<bool, _>(1)?));
            let (database, inside) = read().map_err(|source| doing.failed(source))?;
            if inside { inhabited.push(database) } else { granted.push(database) }
        }
        Ok((granted, inhabited))
    }

    async fn leave(&mut self, doing: Doing<'_>, role: &Identifier, database: &str) -> Result<()> {
        let options = self.server.options(None).database(database);
        let options = options.application_name(&self.tag().to_string());
        let mut session = Session::new(self.server.connect(&options).await?);
        let sql = format!(
            "GRANT {role} TO CURRENT_USER; \
             REASSIGN OWNED BY {role} TO {OWNER_ROLE}; DROP OWNED BY {role}; \
             REVOKE {role} FROM CURRENT_USER"
        );
        session.run(doing, sql, DROP).await?;
        session.close().await;
        Ok(())
    }
}
