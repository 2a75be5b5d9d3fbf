//! Telling those who remember who may come in, and keeping what they came in
//! with.
//!
//! - A membership that begins, changes or ends notifies `yuantus_context`. That
//!   one begins is told too: of an administrator it is remembered that there
//!   is none.
//! - So does a session that ends, and a key that is revoked or changed.
//! - `api_keys.owner_id`: the user who made the key and answers for it; none
//!   where nobody had to log in. A key may do no more than its owner and goes
//!   with it. Of the keys in use, a tenant has one of a name.
//! - `sessions_end` finds the sessions that are over.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE OR REPLACE FUNCTION context_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed jsonb := CASE TG_OP WHEN 'INSERT' THEN to_jsonb(NEW) ELSE to_jsonb(OLD) END;
    id text := (SELECT string_agg(changed ->> name, '/' ORDER BY position)
        FROM unnest(TG_ARGV[1:]) WITH ORDINALITY AS key (name, position));
BEGIN
    PERFORM pg_notify('yuantus_context', TG_ARGV[0] || ':' || id);
    RETURN NULL;
END
$$;

CREATE TRIGGER context_changed AFTER INSERT OR UPDATE OR DELETE ON org_members
    FOR EACH ROW EXECUTE FUNCTION context_changed('member', 'tenant_id', 'org_id', 'user_id');

CREATE TRIGGER context_changed AFTER UPDATE OF revoked_at OR DELETE ON sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL)
    EXECUTE FUNCTION context_changed('session', 'id');
CREATE INDEX sessions_end ON sessions (least(expires_at, revoked_at));

ALTER TABLE api_keys ADD COLUMN owner_id integer REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX api_keys_owner ON api_keys (owner_id);
CREATE UNIQUE INDEX api_keys_name ON api_keys (tenant_id, name) WHERE revoked_at IS NULL;
CREATE TRIGGER context_changed
    AFTER UPDATE OF tenant_id, org_id, name, role, owner_id, expires_at, revoked_at OR DELETE
    ON api_keys FOR EACH ROW WHEN (OLD.revoked_at IS NULL)
    EXECUTE FUNCTION context_changed('api_key', 'id');
";

const DOWN: &str = "
DROP TRIGGER context_changed ON api_keys;
DROP INDEX api_keys_name;
ALTER TABLE api_keys DROP COLUMN owner_id;
DROP INDEX sessions_end;
DROP TRIGGER context_changed ON sessions;
DROP TRIGGER context_changed ON org_members;
CREATE OR REPLACE FUNCTION context_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old jsonb := to_jsonb(OLD);
    id text := (SELECT string_agg(old ->> name, '/' ORDER BY position)
        FROM unnest(TG_ARGV[1:]) WITH ORDINALITY AS key (name, position));
BEGIN
    PERFORM pg_notify('yuantus_context', TG_ARGV[0] || ':' || id);
    RETURN NULL;
END
$$;
";

super::migration!("m20261121_000011_credentials", UP, DOWN);
