//! What is in a backup. Kept beside the dump, in the repository, as `manifest.json`.

use serde::{Deserialize, Serialize};

/// Name of the manifest's file within a snapshot.
pub(crate) const FILE_NAME: &str = "manifest.json";

/// Version of the manifest's layout.
pub(crate) const FORMAT: u32 = 1;

/// Describes one backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this document's layout; 1.
    pub format: u32,
    /// Id of the backup, a UUID.
    pub backup_id: String,
    /// What was dumped.
    #[serde(flatten)]
    pub facts: DatabaseFacts,
    /// Path of the dump within the snapshot, such as `/x.dump`.
    pub dump_path: String,
    /// Size of the dump in bytes.
    pub dump_bytes: u64,
    /// Hex SHA-256 of the dump.
    pub dump_sha256: String,
    /// Bytes this backup added to its repository, compressed and encrypted.
    pub stored_bytes: u64,
    /// Id of the restic snapshot. Not in the copy in the repository, which the id depends on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub snapshot_id: String,
}

/// What a manifest says of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// The database's name.
    pub database: String,
    /// The migration version.
    pub revision: i64,
    /// Fingerprint of the bundle.
    pub bundle_fingerprint: String,
    /// Version of the PostgreSQL server, such as `15.18`.
    pub server_version: String,
    /// The tables and how many rows each had, in the dump's snapshot.
    pub tables: Vec<TableRows>,
    /// Owners, rights and settings, as `yuantus-postgres` reads and puts them
    /// back; null in backups of former versions.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub contents: serde_json::Value,
}

/// How many rows a table had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// The table's schema.
    pub schema: String,
    /// The table's name.
    pub table: String,
    /// Its rows.
    pub rows: i64,
}
