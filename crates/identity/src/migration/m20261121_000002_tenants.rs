//! `tenants` and `orgs`. `status` holds the words of the domain's states;
//! `reason` says for people why an org is not active. `(idempotency_key)` is
//! the client's key of the creating request, `request_hash` its SHA-256.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE TABLE tenants (
    id              text PRIMARY KEY,
    name            text NOT NULL,
    status          text NOT NULL CHECK (status IN ('PROVISIONING', 'ACTIVE', 'FAILED')),
    plan            text NOT NULL DEFAULT 'basic',
    idempotency_key text UNIQUE,
    request_hash    bytea,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE orgs (
    tenant_id  text NOT NULL REFERENCES tenants (id),
    id         text NOT NULL,
    name       text NOT NULL,
    status     text NOT NULL CHECK (status IN ('PROVISIONING', 'ACTIVE', 'FAILED')),
    reason     text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
";

const DOWN: &str = "DROP TABLE orgs; DROP TABLE tenants;";

super::migration!("m20261121_000002_tenants", UP, DOWN);
