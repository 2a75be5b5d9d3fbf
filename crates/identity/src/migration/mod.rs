//! The identity database's schema, forward and back. One file a noun; each
//! holds the SQL of both directions and documents the columns.
//!
//! Invariant: an upgrade is one transaction under one advisory lock, so two
//! of them never interleave and a crash leaves the schema as it was.

mod m20261121_000001_deployment;
mod m20261121_000002_tenants;
mod m20261121_000003_databases;
mod m20261121_000004_users;
mod m20261121_000005_operations;
mod m20261121_000006_backups;
mod m20261121_000007_audit_logs;
mod m20261121_000008_audit_chain;
mod m20261121_000009_identity;
mod m20261121_000010_context;
mod m20261121_000011_credentials;
mod m20261121_000012_policies;
mod m20261130_000013_key_canaries;
mod m20261130_000014_orphans;
mod m20261130_000015_clock;
mod m20261130_000016_audit_checkpoints;
mod m20261130_000017_operation_warnings;
mod m20261130_000019_recovery;

use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use sea_orm_migration::{MigrationStatus, prelude::*};

use crate::{Context, Result, schema};

/// Any number no other lock of ours uses.
const LOCK: i64 = 0x7975_616e_7475_7301;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_deployment::Migration),
            Box::new(m20261121_000002_tenants::Migration),
            Box::new(m20261121_000003_databases::Migration),
            Box::new(m20261121_000004_users::Migration),
            Box::new(m20261121_000005_operations::Migration),
            Box::new(m20261121_000006_backups::Migration),
            Box::new(m20261121_000007_audit_logs::Migration),
            Box::new(m20261121_000008_audit_chain::Migration),
            Box::new(m20261121_000009_identity::Migration),
            Box::new(m20261121_000010_context::Migration),
            Box::new(m20261121_000011_credentials::Migration),
            Box::new(m20261121_000012_policies::Migration),
            Box::new(m20261130_000013_key_canaries::Migration),
            Box::new(m20261130_000014_orphans::Migration),
            Box::new(m20261130_000015_clock::Migration),
            Box::new(m20261130_000016_audit_checkpoints::Migration),
            Box::new(m20261130_000017_operation_warnings::Migration),
            Box::new(m20261130_000019_recovery::Migration),
        ]
    }
}

/// A migration and whether it has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// Its name.
    pub name: String,
    /// Whether it has been applied.
    pub applied: bool,
}

/// Applies what is pending; answers the names applied. Refuses a database that
/// is not UTF-8.
pub async fn upgrade(db: &DatabaseConnection) -> Result<Vec<String>> {
    schema::check_encoding(db).await?;
    let txn = db.begin().await.during("begin upgrade")?;
    txn.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})"))
        .await
        .during("lock upgrade")?;
    let pending = Migrator::get_pending_migrations(&txn).await.during("list migrations")?;
    Migrator::up(&txn, None).await.during("apply migrations")?;
    txn.commit().await.during("commit upgrade")?;
    Ok(pending.iter().map(|m| m.name().to_owned()).collect())
}

/// Reverts the newest `steps` migrations; answers the names reverted.
pub async fn downgrade(db: &DatabaseConnection, steps: u32) -> Result<Vec<String>> {
    let txn = db.begin().await.during("begin downgrade")?;
    txn.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})"))
        .await
        .during("lock downgrade")?;
    let applied = Migrator::get_applied_migrations(&txn).await.during("list migrations")?;
    Migrator::down(&txn, Some(steps)).await.during("revert migrations")?;
    txn.commit().await.during("commit downgrade")?;
    Ok(applied.iter().rev().take(steps as usize).map(|m| m.name().to_owned()).collect())
}

/// Every migration with its state, oldest first. Writes nothing.
pub async fn history(db: &DatabaseConnection) -> Result<Vec<MigrationState>> {
    let all = Migrator::get_migration_with_status_read_only(db).await.during("list migrations")?;
    Ok(all
        .iter()
        .map(|m| MigrationState {
            name: m.name().to_owned(),
            applied: m.status() == MigrationStatus::Applied,
        })
        .collect())
}

/// Implements a migration from its two scripts.
macro_rules! migration {
    ($name:literal, $up:expr, $down:expr) => {
        /// See the module's documentation.
        #[derive(Debug)]
        pub struct Migration;

        impl sea_orm_migration::MigrationName for Migration {
            fn name(&self) -> &str {
                $name
            }
        }

        #[async_trait::async_trait]
        impl sea_orm_migration::MigrationTrait for Migration {
            async fn up(
                &self,
                manager: &sea_orm_migration::SchemaManager,
            ) -> Result<(), sea_orm::DbErr> {
                manager.get_connection().execute_unprepared($up).await.map(drop)
            }

            async fn down(
                &self,
                manager: &sea_orm_migration::SchemaManager,
            ) -> Result<(), sea_orm::DbErr> {
                manager.get_connection().execute_unprepared($down).await.map(drop)
            }
        }
    };
}
use migration;
