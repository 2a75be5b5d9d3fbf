//! `orphans`: what operations made and could not remove again before they
//! ended, until it is gone.
//!
//! - `kind` and `name` say what it is; a name means one thing, so it is listed
//!   once, for the operation that left it last.
//! - `reason` is why the last attempt to remove it failed, `attempts` counts
//!   those since it was listed, `next_attempt_at` is when the next one is due.
//! - An operation that is retried takes back what it left: its rows go.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE TABLE orphans (
    kind            text NOT NULL CHECK (kind IN ('database', 'role', 'backup_prefix')),
    name            text NOT NULL,
    operation_id    uuid NOT NULL,
    tenant_id       text NOT NULL,
    org_id          text NOT NULL,
    reason          text NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, name)
);
CREATE INDEX orphans_operation ON orphans (operation_id);
";

const DOWN: &str = "DROP TABLE orphans;";

super::migration!("m20261130_000014_orphans", UP, DOWN);
