//! The audit trail as one hash chain per tenant, and what may be done to it.
//!
//! - `audit_logs` gets `seq` (1, 2, 3 … within the tenant, without gaps),
//!   `previous_hash` and `hash`, which a trigger fills in, and the facts of
//!   requests: `method`, `path`, `status_code`, `duration_ms`, `error`.
//! - `audit_heads` holds the end of each tenant's chain. The trigger takes the
//!   tenant's row there, and keeps it locked until the writer commits: that is
//!   what makes the chain one line. So a transaction writes its audit rows
//!   last, and those of one tenant only.
//! - `hash` is SHA-256 of `previous_hash` (32 zero bytes for the first), `seq`
//!   (8 bytes), every other column as its length (4 bytes, all ones for NULL)
//!   and its text in UTF-8, and `created_at` (8 bytes: microseconds since
//!   2000). Lengths keep anything from being moved between columns. The
//!   `audit` crate computes the same.
//! - `audit_checkpoints` are signed statements about a chain: its `hash` at
//!   `seq`. Those of kind `prune` say besides that the `rows` before and at
//!   `seq`, from `first_seq` on and of the time from `first_at` to `last_at`,
//!   were deleted on purpose.
//! - Nothing is ever updated, and rows of `audit_logs` are deleted only as the
//!   whole beginning of a chain, up to a checkpoint of kind `prune` that is
//!   made in the same transaction.
//! - The functions run as the owner of the tables, so that a role which may
//!   only insert into `audit_logs` (`yuantus db grant`) can be the API's.

use sea_orm::ConnectionTrait;

const UP: &str = r#"
DROP TRIGGER append_only ON audit_logs;
DROP FUNCTION audit_logs_are_append_only();

CREATE TABLE audit_heads (
    tenant_id     text PRIMARY KEY,
    seq           bigint NOT NULL,
    previous_hash bytea NOT NULL,
    hash          bytea NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE audit_checkpoints (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('prune', 'periodic')),
    seq        bigint NOT NULL,
    hash       bytea NOT NULL,
    first_seq  bigint NOT NULL,
    rows       bigint NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    key_id     text NOT NULL,
    signature  bytea NOT NULL,
    made_in    xid8 NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_checkpoints_tenant ON audit_checkpoints (tenant_id, seq);

CREATE FUNCTION audit_field(field text) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        int4send(octet_length(convert_to(field, 'UTF8'))) || convert_to(field, 'UTF8'),
        '\xffffffff'::bytea)
$$;

-- What was there gets its place in the chain by being written once more.
CREATE TEMPORARY TABLE audit_logs_before ON COMMIT DROP AS TABLE audit_logs;
TRUNCATE audit_logs;
ALTER TABLE audit_logs
    ADD COLUMN method        text NOT NULL DEFAULT '',
    ADD COLUMN path          text NOT NULL DEFAULT '',
    ADD COLUMN status_code   integer,
    ADD COLUMN duration_ms   bigint,
    ADD COLUMN error         text NOT NULL DEFAULT '',
    ADD COLUMN seq           bigint NOT NULL,
    ADD COLUMN previous_hash bytea NOT NULL,
    ADD COLUMN hash          bytea NOT NULL;

CREATE FUNCTION audit_logs_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    origin CONSTANT bytea := decode(repeat('00', 32), 'hex');
    content CONSTANT bytea := audit_field(NEW.tenant_id) || audit_field(NEW.id::text)
        || audit_field(NEW.org_id) || audit_field(NEW.actor) || audit_field(NEW.user_id::text)
        || audit_field(NEW.action) || audit_field(NEW.target) || audit_field(NEW.request_id)
        || audit_field(NEW.client_ip) || audit_field(NEW.user_agent) || audit_field(NEW.method)
        || audit_field(NEW.path) || audit_field(NEW.status_code::text)
        || audit_field(NEW.duration_ms::text) || audit_field(NEW.error)
        || audit_field(NEW.details::text) || timestamptz_send(NEW.created_at);
BEGIN
    INSERT INTO audit_heads AS head (tenant_id, seq, previous_hash, hash)
    VALUES (NEW.tenant_id, 1, origin, sha256(origin || int8send(1) || content))
    ON CONFLICT (tenant_id) DO UPDATE SET
        seq = head.seq + 1,
        previous_hash = head.hash,
        hash = sha256(head.hash || int8send(head.seq + 1) || content)
    RETURNING head.seq, head.previous_hash, head.hash
        INTO NEW.seq, NEW.previous_hash, NEW.hash;
    RETURN NEW;
END
$$;
CREATE TRIGGER chain BEFORE INSERT ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION audit_logs_chain();

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

CREATE FUNCTION audit_checkpoint_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.made_in := pg_current_xact_id();
    RETURN NEW;
END
$$;
CREATE TRIGGER made_in BEFORE INSERT ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_made();

CREATE FUNCTION audit_logs_pruned() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT tenant_id, max(seq) AS seq FROM deleted GROUP BY tenant_id) AS last
        WHERE NOT EXISTS (
            SELECT FROM audit_checkpoints c JOIN deleted d USING (tenant_id, seq, hash)
            WHERE c.tenant_id = last.tenant_id AND c.seq = last.seq AND c.kind = 'prune'
                AND c.made_in = pg_current_xact_id()
        ) OR EXISTS (
            SELECT FROM audit_logs l WHERE l.tenant_id = last.tenant_id AND l.seq <= last.seq
        )
    ) THEN
        RAISE EXCEPTION 'audit_logs is append-only';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER pruned AFTER DELETE ON audit_logs REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_pruned();

-- Deletes the beginning of a chain; the trigger above looks for its checkpoint.
CREATE FUNCTION audit_prune(tenant text, last bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    pruned bigint;
BEGIN
    DELETE FROM audit_logs WHERE tenant_id = tenant AND seq <= last;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END
$$;

INSERT INTO audit_logs (id, tenant_id, org_id, actor, user_id, action, target, request_id,
        client_ip, user_agent, details, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT id, tenant_id, org_id, actor, user_id, action, target, request_id,
        client_ip, user_agent, details, created_at
    FROM audit_logs_before ORDER BY id;

DROP INDEX audit_logs_tenant;
CREATE UNIQUE INDEX audit_logs_seq ON audit_logs (tenant_id, seq);
CREATE INDEX audit_logs_tenant ON audit_logs (tenant_id, created_at, id);
CREATE INDEX audit_logs_created ON audit_logs (created_at, id);
CREATE INDEX audit_logs_action ON audit_logs (action, created_at, id);
CREATE INDEX audit_logs_user ON audit_logs (user_id, created_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_logs_path ON audit_logs (path, created_at, id) WHERE path <> '';
CREATE INDEX audit_logs_status ON audit_logs (status_code, created_at, id)
    WHERE status_code >= 400;

REVOKE ALL ON audit_logs, audit_heads, audit_checkpoints FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_prune(text, bigint) FROM PUBLIC;
-- Whoever calls a function that runs as its owner must not choose its tables.
DO $$
DECLARE
    function text;
BEGIN
    FOREACH function IN ARRAY ARRAY[
        'audit_logs_chain()', 'audit_logs_pruned()', 'audit_prune(text, bigint)'
    ] LOOP
        EXECUTE format(
            'ALTER FUNCTION %s SET search_path = %I, pg_temp', function, current_schema());
    END LOOP;
END
$$;
"#;

const DOWN: &str = "
DROP TRIGGER chain ON audit_logs;
DROP TRIGGER pruned ON audit_logs;
DROP TRIGGER append_only ON audit_logs;
DROP TABLE audit_heads;
DROP TABLE audit_checkpoints;
DROP FUNCTION audit_logs_chain();
DROP FUNCTION audit_logs_pruned();
DROP FUNCTION audit_prune(text, bigint);
DROP FUNCTION audit_checkpoint_made();
DROP FUNCTION audit_is_append_only();
DROP FUNCTION audit_field(text);
DROP INDEX audit_logs_seq, audit_logs_tenant, audit_logs_created, audit_logs_action,
    audit_logs_user, audit_logs_path, audit_logs_status;
CREATE INDEX audit_logs_tenant ON audit_logs (tenant_id, id);
ALTER TABLE audit_logs
    DROP COLUMN method, DROP COLUMN path, DROP COLUMN status_code, DROP COLUMN duration_ms,
    DROP COLUMN error, DROP COLUMN seq, DROP COLUMN previous_hash, DROP COLUMN hash;
CREATE FUNCTION audit_logs_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_logs is append-only';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_are_append_only();
";

super::migration!("m20261121_000008_audit_chain", UP, DOWN);
