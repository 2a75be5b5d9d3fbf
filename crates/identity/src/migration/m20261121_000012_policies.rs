//! `policies`: what a tenant's administrators decided for an area, one row a
//! version. `policy` is the application's document; `version` counts from 1
//! without gaps; `created_by` is `tenant/username`. Rows are never changed.
//!
//! `users.name` is the name people read; it may be empty.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE TABLE policies (
    tenant_id  text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    area       text NOT NULL,
    version    integer NOT NULL CHECK (version > 0),
    policy     jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, area, version)
);
ALTER TABLE users ADD COLUMN name text NOT NULL DEFAULT '';
";

const DOWN: &str = "
ALTER TABLE users DROP COLUMN name;
DROP TABLE policies;
";

super::migration!("m20261121_000012_policies", UP, DOWN);
