//! `audit_logs`: who did what, written in the transaction of the change. A
//! trigger refuses changes and deletions.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE TABLE audit_logs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  text NOT NULL,
    org_id     text NOT NULL DEFAULT '',
    actor      text NOT NULL,
    user_id    integer,
    action     text NOT NULL,
    target     text NOT NULL,
    request_id text NOT NULL DEFAULT '',
    client_ip  text NOT NULL DEFAULT '',
    user_agent text NOT NULL DEFAULT '',
    details    jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_logs_tenant ON audit_logs (tenant_id, id);
CREATE FUNCTION audit_logs_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_logs is append-only';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_are_append_only();
";

const DOWN: &str = "DROP TABLE audit_logs; DROP FUNCTION audit_logs_are_append_only();";

super::migration!("m20261121_000007_audit_logs", UP, DOWN);
