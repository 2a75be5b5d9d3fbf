//! `databases`: one for each org. `name` is stored when the org is recorded
//! and never derived again; `role` logs in with the password in
//! `sealed_password` (sealed with `password_version` in its associated data).
//! `revision` and `bundle_fingerprint` are what the database was last seen at.
//!
//! `tombstones`: databases a restore replaced, dropped after `expires_at`.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE TABLE databases (
    tenant_id          text NOT NULL,
    org_id             text NOT NULL,
    name               text NOT NULL UNIQUE,
    role               text NOT NULL UNIQUE,
    state              text NOT NULL CHECK (state IN ('PROVISIONING', 'READY', 'FAILED')),
    revision           bigint NOT NULL DEFAULT 0,
    bundle_fingerprint text NOT NULL DEFAULT '',
    sealed_password    bytea NOT NULL,
    password_version   integer NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, org_id),
    FOREIGN KEY (tenant_id, org_id) REFERENCES orgs (tenant_id, id)
);
CREATE TABLE tombstones (
    name         text PRIMARY KEY,
    tenant_id    text NOT NULL,
    org_id       text NOT NULL,
    operation_id uuid NOT NULL,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tombstones_expires_at ON tombstones (expires_at);
";

const DOWN: &str = "DROP TABLE tombstones; DROP TABLE databases;";

super::migration!("m20261121_000003_databases", UP, DOWN);
