//! What the steps and loops work with.

use std::{sync::Arc, time::Duration};

use sea_orm::DatabaseConnection;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use uuid::Uuid;
use yuantus_audit::{Retention, Signing};
use yuantus_auth::{DerivedPasswords, Sealer, Signer, purpose};
use yuantus_domain::{DatabaseName, OrgKey, Plan};
use yuantus_identity::{entity::database, for_org, for_tenant, query::orphan::Leftover};
use yuantus_operations::{Run, StepError};
use yuantus_postgres::{
    Assignment, ClaimStamp, DatabaseInfo, Kind, LaneSession, Marker, Server, Tools,
};
use yuantus_storage::ObjectStore;
use yuantus_tenant_schema::Bundle;

use crate::{Space, Spares, failure};

/// What the steps and loops work with.
pub struct Deps {
    /// The identity database.
    pub db: DatabaseConnection,
    /// The server of the orgs' databases.
    pub server: Server,
    /// PostgreSQL's client programs.
    pub tools: Tools,
    /// Where backups go.
    pub store: ObjectStore,
    /// Opens sealed passwords and keys.
    pub sealer: Arc<Sealer>,
    /// Derives the passwords of roles that wait with spare databases.
    pub derived: DerivedPasswords,
    /// The migrations.
    pub bundle: Arc<Bundle>,
    /// Signs the databases that are made here.
    pub plane: Uuid,
    /// How the audit trail is kept.
    pub audit: Audit,
    /// Numbers.
    pub limits: Limits,
    /// How room on the server's disk is kept.
    pub space: Space,
    /// Tells the loop that keeps spare databases of those that were taken.
    pub spares: Spares,
    /// Whether the server has its group roles.
    pub bootstrapped: OnceCell<()>,
}

/// How the audit trail is kept.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Signs checkpoints.
    pub signer: Signer,
    /// How long entries are kept.
    pub retention: Retention,
    /// How often they are pruned; never if none.
    pub prune_interval: Option<Duration>,
    /// How often checkpoints are signed.
    pub checkpoint_interval: Duration,
}

/// Numbers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many spare databases are kept.
    pub spares: usize,
    /// How long the database that a restore replaced is kept.
    pub tombstone_retention: Duration,
}

impl Deps {
    /// The database row of the operation's org.
    pub(crate) async fn database(&self, run: &Run) -> Result<database::Model, StepError> {
        let row = for_org(run.key()).database(run.db()).await?;
        row.ok_or_else(|| StepError::refuse("ORG_NOT_FOUND", "the org is not recorded"))
    }

    /// Takes the operation's lane on the server, ending what earlier claims
    /// left running, and then asks whether this claim still holds: whoever
    /// takes over afterwards ends this session. What is on the server may be
    /// looked at once the lane is taken, not before.
    pub(crate) async fn lane(&self, run: &Run) -> Result<LaneSession, StepError> {
        let lane = self.open_lane(run.lane(), run.epoch()).await?.claimed(stamp(run));
        run.confirm().await?;
        Ok(lane)
    }

    /// As [`Self::lane`], for what reads or changes the org's database, which
    /// remembers this claim from now on.
    pub(crate) async fn database_lane(
        &self,
        run: &Run,
        database: &DatabaseName,
    ) -> Result<LaneSession, StepError> {
        let mut lane = self.lane(run).await?;
        let plane = self.plane.to_string();
        lane.stamp(database, &plane).await.map_err(failure::postgres)?;
        Ok(lane)
    }

    /// Takes a lane on the server, which gets its group roles before anything
    /// else is done there.
    pub(crate) async fn open_lane(&self, lane: &str, epoch: i64) -> Result<LaneSession, StepError> {
        let bootstrap = || self.server.bootstrap();
        self.bootstrapped.get_or_try_init(bootstrap).await.map_err(failure::postgres)?;
        self.server.open_lane(lane, epoch).await.map_err(failure::postgres)
    }

    /// The bucket, for writing: refuses once this claim may have lost its lease.
    pub(crate) fn store(&self, run: &Run) -> ObjectStore {
        let fence = run.fence();
        self.store.fenced(move || fence.is_live())
    }

    /// What the audit trail is signed and pruned with.
    pub(crate) fn signing(&self) -> Signing<'_> {
        let interval = self.audit.checkpoint_interval.as_secs();
        let interval = i64::try_from(interval).unwrap_or(i64::MAX);
        Signing { db: &self.db, signer: &self.audit.signer, store: &self.store, interval }
    }

    /// A marker that says: made by this control plane, for this.
    pub(crate) fn marker(&self, kind: Kind, fingerprint: &str) -> Marker {
        Marker {
            plane: self.plane.to_string(),
            kind,
            fingerprint: fingerprint.to_owned(),
            operation: None,
            owner: None,
            role: None,
            claim: None,
            in_use: false,
        }
    }

    /// The database as something left behind, unless it is seen not to be
    /// there, or to be none of ours.
    pub(crate) async fn still_there(
        &self,
        name: Option<DatabaseName>,
        ours: impl Fn(&DatabaseInfo) -> bool,
    ) -> Option<Leftover> {
        let name = name?;
        let left = match self.server.database(&name).await {
            Ok(found) => found.is_some_and(|info| ours(&info)),
            Err(_) => true,
        };
        left.then(|| Leftover::database(name))
    }

    /// The role as something left behind, unless it is seen not to be there.
    pub(crate) async fn role_still_there(&self, role: &str) -> Option<Leftover> {
        let left = self.server.role_exists(role).await.unwrap_or(true);
        left.then(|| Leftover::role(role))
    }

    /// What is recorded of how the org's database is to be.
    pub(crate) async fn wanted(&self, run: &Run) -> Result<(database::Model, Plan), StepError> {
        let tenant = async { Ok(for_tenant(&run.key().tenant).tenant(run.db()).await?) };
        let (row, tenant) = tokio::try_join!(self.database(run), tenant)?;
        let plan = tenant.and_then(|t| Plan::parse(&t.plan).ok()).unwrap_or(Plan::Basic);
        Ok((row, plan))
    }

    /// How the org's database is to be: its name, role, password and limits.
    pub(crate) fn assignment(
        &self,
        run: &Run,
        row: &database::Model,
        plan: Plan,
        fingerprint: &str,
    ) -> Result<Assignment, StepError> {
        let key = run.key();
        Ok(Assignment {
            database: name(&row.name)?,
            role: row.role.clone(),
            password: self.password(key, row)?,
            connection_limit: plan.connection_limit(),
            statement_timeout_seconds: plan.statement_timeout_seconds(),
            marker: Marker {
                operation: Some(run.id().to_string()),
                owner: Some(key.to_string()),
                ..self.marker(Kind::Tenant, fingerprint)
            },
            ready_at: Some(self.bundle.fingerprint().to_owned()),
        })
    }

    /// The password of a seed, sealed as that of the org's role.
    pub(crate) fn sealed_password(
        &self,
        key: &OrgKey,
        row: &database::Model,
        seed: &str,
    ) -> Result<Vec<u8>, StepError> {
        let aad = purpose::database_password(key, row.password_version.unsigned_abs());
        self.sealer
            .seal(self.derived.password(seed).expose_secret().as_bytes(), &aad)
            .map_err(failure::auth)
    }

    fn password(&self, key: &OrgKey, row: &database::Model) -> Result<SecretString, StepError> {
        let aad = purpose::database_password(key, row.password_version.unsigned_abs());
        self.sealer.open(&row.sealed_password, &aad).map_err(failure::auth)
    }
}

/// The claim of a run, as databases remember it.
pub(crate) fn stamp(run: &Run) -> ClaimStamp {
    ClaimStamp { epoch: run.epoch(), nonce: run.nonce().simple().to_string() }
}

/// A stored or constructed database name.
pub(crate) fn name(name: &str) -> Result<DatabaseName, StepError> {
    DatabaseName::parse(name).map_err(|error| StepError::fail("INTERNAL", error))
}
