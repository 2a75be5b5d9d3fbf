//! Which copy of an identity database has a plane's databases on a server.
//!
//! A copy of an identity database says that it is the same plane, and so all
//! databases of the original look like its own. What tells them apart is the
//! *instance*: the cluster and database that the identity database lies in.
//! The server keeps the holder's in the comment of a role that cannot log in,
//! and workers keep a session open that names theirs.
//!
//! Invariant: who is not the holder changes nothing on the server.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::{Row, postgres::PgRow};

use crate::{
    Identifier, Result, Server,
    catalog::{OWN_ROLE, SESSIONS},
    identifier::Literal,
    session::{Doing, SHORT, Session},
};

/// That a role was made by somebody else at the same moment.
const RACES: &[&str] = &["42710", "23505"];

/// Who holds a plane on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The instance that asked.
    Ours,
    /// Another instance.
    Other(String),
}

/// The comment of the role that stands for a plane.
#[derive(Serialize, Deserialize)]
struct Record {
    plane: String,
    instance: String,
}

/// A session that says, while it lives, that a process of this instance is at
/// work on the server.
pub struct HolderSession {
    server: Server,
    session: Session,
    tag: String,
}

impl Server {
    /// Who holds this plane; `instance` does from now on where nobody did.
    pub async fn holder(&self, instance: &str) -> Result<Holder> {
        let doing = Doing("make a holder of plane", &self.plane);
        if let Some(found) = self.recorded_holder().await? {
            return Ok(compare(found, instance));
        }
        let role = self.plane_role()?;
        match self
            .read(doing, format!("CREATE ROLE {role} NOLOGIN; {}", self.record(instance)?))
            .await
        {
            Ok(_) => Ok(Holder::Ours),
            Err(error) if error.is_sqlstate(RACES) => {
                Ok(compare(self.recorded_holder().await?.unwrap_or_default(), instance))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes `instance` the holder of this plane, whoever was.
    pub async fn set_holder(&self, instance: &str) -> Result<()> {
        self.holder(instance).await?;
        let doing = Doing("set the holder of plane", &self.plane);
        self.read(doing, self.record(instance)?).await.map(drop)
    }

    /// Begins to say that a process of `instance` is at work.
    pub async fn hold(&self, instance: &str) -> Result<HolderSession> {
        let tag = self.holder_tag(instance);
        let options = self.options(None).application_name(&tag);
        let session = Session::new(self.connect(&options).await?);
        Ok(HolderSession { server: self.clone(), session, tag })
    }

    /// The newest epoch that databases of this plane remember; 0 where none
    /// remembers any.
    pub async fn newest_claim(&self) -> Result<i64> {
        let doing = Doing("look up the newest claim of plane", &self.plane);
        let sql = format!(
            "SELECT coalesce(max((regexp_match(c.description, \
               '\"claim\":\\{{\"epoch\":([0-9]{{1,18}})[,}}]'))[1]::bigint), 0) \
             FROM pg_shdescription c WHERE c.classoid = 'pg_database'::regclass \
             AND starts_with(c.description, {})",
            Literal(&format!("{{\"plane\":\"{}\"", self.plane))
        );
        crate::server::first(&self.read(doing, sql).await?, doing)
    }

    /// The instance that holds this plane, if any does.
    pub async fn recorded_holder(&self) -> Result<Option<String>> {
        let doing = Doing("look up the holder of plane", &self.plane);
        let sql = format!(
            "SELECT coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles \
             WHERE rolname = {}",
            Literal(self.plane_role()?.as_str())
        );
        let rows = self.read(doing, sql).await?;
        let comment = |row: &PgRow| row.try_get::<String, _>(0).map_err(|e| doing.failed(e));
        let comment = rows.first().map(comment).transpose()?;
        let record = |text: String| serde_json::from_str::<Record>(&text).ok();
        Ok(comment.map(|text| record(text).map(|record| record.instance).unwrap_or_default()))
    }

    fn record(&self, instance: &str) -> Result<String> {
        let record = Record { plane: self.plane.to_string(), instance: instance.to_owned() };
        // A struct of strings always serialises.
        let text = serde_json::to_string(&record).unwrap_or_default();
        Ok(format!("COMMENT ON ROLE {} IS {}", self.plane_role()?, Literal(&text)))
    }

    fn plane_role(&self) -> Result<Identifier> {
        Identifier::new(&format!("yuantus_plane_{}", self.plane.replace('-', "")))
    }

    fn holder_tag(&self, instance: &str) -> String {
        let short = |text: &str| hex::encode(&Sha256::digest(text)[..8]);
        format!("{}{}", self.holder_prefix(), short(instance))
    }

    fn holder_prefix(&self) -> String {
        format!("yuantus-holder:{}:", hex::encode(&Sha256::digest(&*self.plane)[..8]))
    }
}

fn compare(found: String, instance: &str) -> Holder {
    if found == instance { Holder::Ours } else { Holder::Other(found) }
}

impl HolderSession {
    /// How many processes of other instances of this plane are at work. Those
    /// of our own administrator count; what others call their sessions means
    /// nothing.
    pub async fn others(&mut self) -> Result<i64> {
        let doing = Doing("count other holders of plane", &self.server.plane);
        let sql = format!(
            "SELECT count(*) FROM {SESSIONS} WHERE usesysid = {OWN_ROLE} \
             AND starts_with(application_name, {}) AND application_name <> {}",
            Literal(&self.server.holder_prefix()),
            Literal(&self.tag)
        );
        let rows = self.session.run(doing, sql, SHORT).await?;
        crate::server::first(&rows, doing)
    }
}
