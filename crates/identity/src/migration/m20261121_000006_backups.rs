//! `backups`: what is in S3. `prefix` is the generation's, chosen when the
//! backup is asked for; `manifest` is what was read back and found good.
//!
//! `backup_keys`: one sealed repository key for each org.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE TABLE backups (
    id           uuid PRIMARY KEY,
    tenant_id    text NOT NULL,
    org_id       text NOT NULL,
    state        text NOT NULL CHECK (state IN ('CREATING', 'COMPLETE', 'FAILED')),
    reason       text NOT NULL DEFAULT '',
    prefix       text NOT NULL UNIQUE,
    manifest     jsonb,
    created_at   timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    verified_at  timestamptz,
    CHECK (state <> 'COMPLETE' OR manifest IS NOT NULL)
);
CREATE INDEX backups_org ON backups (tenant_id, org_id, id);
CREATE TABLE backup_keys (
    tenant_id  text NOT NULL,
    org_id     text NOT NULL,
    sealed_key bytea NOT NULL,
    version    integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, org_id)
);
";

const DOWN: &str = "DROP TABLE backup_keys; DROP TABLE backups;";

super::migration!("m20261121_000006_backups", UP, DOWN);
