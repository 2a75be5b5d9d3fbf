//! `SUSPENDED` tenants, and telling those who remember that something was
//! good: a change or removal of an active tenant, of an org or database in
//! use, of a user or of a membership notifies `yuantus_context` with its kind
//! and id in the transaction of the change.
//!
//! Only the end of what is good is told. What begins needs no telling, so that
//! making tenants and databases, which is done by the thousand, does not make
//! its commits take turns: PostgreSQL orders notifying ones.

use sea_orm::ConnectionTrait;

const UP: &str = "
ALTER TABLE tenants DROP CONSTRAINT tenants_status_check;
ALTER TABLE tenants ADD CONSTRAINT tenants_status_check
    CHECK (status IN ('PROVISIONING', 'ACTIVE', 'SUSPENDED', 'FAILED'));

CREATE FUNCTION context_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old jsonb := to_jsonb(OLD);
    id text := (SELECT string_agg(old ->> name, '/' ORDER BY position)
        FROM unnest(TG_ARGV[1:]) WITH ORDINALITY AS key (name, position));
BEGIN
    PERFORM pg_notify('yuantus_context', TG_ARGV[0] || ':' || id);
    RETURN NULL;
END
$$;

CREATE TRIGGER context_changed AFTER UPDATE OR DELETE ON tenants
    FOR EACH ROW WHEN (OLD.status = 'ACTIVE')
    EXECUTE FUNCTION context_changed('tenant', 'id');
CREATE TRIGGER context_changed AFTER UPDATE OR DELETE ON orgs
    FOR EACH ROW WHEN (OLD.status = 'ACTIVE')
    EXECUTE FUNCTION context_changed('org', 'tenant_id', 'id');
CREATE TRIGGER context_changed AFTER UPDATE OR DELETE ON databases
    FOR EACH ROW WHEN (OLD.state = 'READY')
    EXECUTE FUNCTION context_changed('org', 'tenant_id', 'org_id');
CREATE TRIGGER context_changed AFTER UPDATE OF tenant_id, username, email, roles, is_active
    OR DELETE ON users
    FOR EACH ROW WHEN (OLD.is_active)
    EXECUTE FUNCTION context_changed('user', 'id');
";

const DOWN: &str = "
DROP TRIGGER context_changed ON users;
DROP TRIGGER context_changed ON databases;
DROP TRIGGER context_changed ON orgs;
DROP TRIGGER context_changed ON tenants;
DROP FUNCTION context_changed();
UPDATE tenants SET status = 'ACTIVE' WHERE status = 'SUSPENDED';
ALTER TABLE tenants DROP CONSTRAINT tenants_status_check;
ALTER TABLE tenants ADD CONSTRAINT tenants_status_check
    CHECK (status IN ('PROVISIONING', 'ACTIVE', 'FAILED'));
";

super::migration!("m20261121_000010_context", UP, DOWN);
