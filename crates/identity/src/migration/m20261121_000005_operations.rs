//! `operations`: the queue and the API's long-running operation in one table.
//!
//! - `seq` orders operations within a `lane`; at most one per lane is RUNNING
//!   (a unique index says so, whatever the code does).
//! - `steps` lists the step names, `step` is the index of the present one:
//!   those before it are recorded as done and never run again.
//! - `attempt` counts the attempts begun at the present step.
//! - `epoch` comes from one sequence, so it grows with every claim of any
//!   operation of the lane; every later write of a worker names the
//!   epoch it claimed with, so that one that lost its lease writes nothing.
//! - `unwinding`: the outcome is decided (`error_reason`, or cancelled), what
//!   was begun is being undone.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE SEQUENCE operation_epochs;
CREATE TABLE operations (
    id               uuid PRIMARY KEY,
    seq              bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    type             text NOT NULL,
    tenant_id        text NOT NULL,
    org_id           text NOT NULL,
    lane             text NOT NULL,
    state            text NOT NULL DEFAULT 'PENDING'
        CHECK (state IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
    input            jsonb NOT NULL,
    target           text NOT NULL,
    scope            text NOT NULL,
    idempotency_key  text,
    request_hash     bytea NOT NULL,
    actor            text NOT NULL,
    request_id       text NOT NULL DEFAULT '',
    steps            jsonb NOT NULL,
    step             integer NOT NULL DEFAULT 0,
    attempt          integer NOT NULL DEFAULT 0,
    max_attempts     integer NOT NULL CHECK (max_attempts > 0),
    run_at           timestamptz NOT NULL DEFAULT now(),
    epoch            bigint NOT NULL DEFAULT 0,
    node_id          text,
    lease_expires_at timestamptz,
    cancel_requested boolean NOT NULL DEFAULT false,
    unwinding        boolean NOT NULL DEFAULT false,
    reason           text NOT NULL DEFAULT '',
    error_reason     text NOT NULL DEFAULT '',
    error_message    text NOT NULL DEFAULT '',
    progress_done    bigint NOT NULL DEFAULT 0,
    progress_total   bigint NOT NULL DEFAULT 0,
    progress_unit    text NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    finished_at      timestamptz,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (scope, idempotency_key)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX operations_one_running_per_lane ON operations (lane) WHERE state = 'RUNNING';
CREATE INDEX operations_lane ON operations (lane, seq) WHERE state IN ('PENDING', 'RUNNING');
CREATE INDEX operations_pending ON operations (seq) WHERE state = 'PENDING';
CREATE INDEX operations_running ON operations (lease_expires_at) WHERE state = 'RUNNING';
CREATE INDEX operations_finished ON operations (finished_at)
    WHERE state IN ('SUCCEEDED', 'FAILED', 'CANCELLED');
CREATE INDEX operations_org ON operations (tenant_id, org_id, seq);
";

const DOWN: &str = "DROP TABLE operations; DROP SEQUENCE operation_epochs;";

super::migration!("m20261121_000005_operations", UP, DOWN);
