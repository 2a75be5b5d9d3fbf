//! Backup repositories in the open restic format: dumps, manifests, verification.
//!
//! One [`Repository`] is one generation of one org's backups under one S3 prefix, encrypted with
//! the org's [`RepositoryKey`]. Invariants:
//!
//! - A snapshot exists only for a backup that is whole: [`Repository::backup`] stores the dump's
//!   content and no snapshot; [`Repository::put_manifest`] writes the one snapshot that makes dump
//!   and manifest visible, as its last act.
//! - What a reader of a dump sees as its end is the dump's end: whatever breaks is an error.
//! - What is read is what its name says: every file and every blob is compared with its SHA-256, and
//!   read again before it counts as damaged; S3 that fails is never damage.
//! - The stock `restic` opens, checks and restores it all without us.
//!
//! `rustic_core` is synchronous and starts threads of its own; the `session` module keeps that off the
//! async runtime and bounds it.

mod backend;
mod blobs;
mod checked;
mod dump;
mod error;
mod key;
mod manifest;
mod pack;
mod repository;
mod session;
mod source;
mod verify;

pub use checked::CheckedDump;
pub use dump::DumpReader;
pub use error::{Damage, Error, Result, RusticFailure};
pub use key::RepositoryKey;
pub use manifest::{DatabaseFacts, Manifest, TableRows};
pub use repository::{Repository, SnapshotMeta, StoredDump};
pub use verify::verify;
