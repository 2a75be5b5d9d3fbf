//! `deployment.recovery_since`, `recovery_reason`: since when, and why, this
//! control plane is in recovery mode: what the identity database says and what
//! servers or the bucket say of themselves differ, so nothing is claimed,
//! dropped, renamed or deleted until a person releases it.
//!
//! `deployment.bucket_marked_at`: since when the bucket holds an object that
//! says whose it is. One without it is another, or was emptied.
//!
//! `claimed_epochs`: the newest epochs that were claimed with, in some rows so
//! that claims do not wait for each other. What the sequence of epochs says is
//! ahead of what was used: after a crash, and on a standby that is promoted.
//!
//! `backup_prefixes`: every place in the bucket that a claim of a backup's
//! operation wrote to, recorded before it is written. Nothing else is deleted.

use sea_orm::ConnectionTrait;

const UP: &str = "
ALTER TABLE deployment
    ADD COLUMN recovery_since  timestamptz,
    ADD COLUMN recovery_reason text NOT NULL DEFAULT '',
    ADD COLUMN bucket_marked_at timestamptz;
CREATE TABLE claimed_epochs (
    slot  integer PRIMARY KEY,
    epoch bigint NOT NULL
);
INSERT INTO claimed_epochs (slot, epoch)
    SELECT 0, coalesce(pg_sequence_last_value('operation_epochs'::regclass), 0);
CREATE TABLE backup_prefixes (
    prefix     text PRIMARY KEY,
    backup_id  uuid NOT NULL REFERENCES backups (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX backup_prefixes_backup ON backup_prefixes (backup_id);
INSERT INTO backup_prefixes (prefix, backup_id)
    SELECT prefix, id FROM backups WHERE manifest IS NOT NULL;
";

const DOWN: &str = "
DROP TABLE backup_prefixes;
DROP TABLE claimed_epochs;
ALTER TABLE deployment
    DROP COLUMN recovery_since, DROP COLUMN recovery_reason,
    DROP COLUMN bucket_marked_at;
";

super::migration!("m20261130_000019_recovery", UP, DOWN);
