//! Who may come in, besides `users`.
//!
//! - `org_members`: users of a tenant in one of its orgs; `roles` is a JSON
//!   list of the names that the application is told. A member is always of the
//!   org's own tenant: both keys hold it.
//! - `sessions`: what a login opened. `kind` is `user`, or `break_glass` for
//!   one that was opened at the console and is nobody's; `org_id` is the org
//!   of its newest token; `revoked_reason` says who ended it.
//! - `refresh_tokens`: SHA-256 of every refresh token of a session; all but
//!   the newest have been used.
//! - `api_keys`: machines. `secret_hash` is the SHA-256 of the whole key,
//!   `prefix` its first letters, for people; `role` the name of a role;
//!   `org_id` the only org it is good for, if there is one; `last_used_at` is
//!   within minutes.
//!
//! An address is one user's within a tenant, whatever its case.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE UNIQUE INDEX users_email ON users (tenant_id, lower(email)) WHERE email <> '';
ALTER TABLE users ADD CONSTRAINT users_of_tenant UNIQUE (tenant_id, id);
CREATE TABLE org_members (
    tenant_id  text NOT NULL,
    org_id     text NOT NULL,
    user_id    integer NOT NULL,
    roles      jsonb NOT NULL DEFAULT '[]',
    is_active  boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, org_id, user_id),
    FOREIGN KEY (tenant_id, org_id) REFERENCES orgs (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX org_members_user ON org_members (tenant_id, user_id);
CREATE TABLE sessions (
    id             uuid PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('user', 'break_glass')),
    tenant_id      text NOT NULL,
    user_id        integer,
    org_id         text,
    client_ip      text NOT NULL DEFAULT '',
    user_agent     text NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT now(),
    last_used_at   timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    revoked_at     timestamptz,
    revoked_reason text NOT NULL DEFAULT '',
    CHECK ((kind = 'user') = (user_id IS NOT NULL)),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_user ON sessions (tenant_id, user_id, id);
CREATE TABLE refresh_tokens (
    hash       bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    tenant_id    text NOT NULL,
    org_id       text,
    name         text NOT NULL,
    prefix       text NOT NULL,
    secret_hash  bytea NOT NULL UNIQUE,
    role         text NOT NULL,
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    FOREIGN KEY (tenant_id, org_id) REFERENCES orgs (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, id);
";

const DOWN: &str = "
DROP TABLE api_keys;
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE org_members;
ALTER TABLE users DROP CONSTRAINT users_of_tenant;
DROP INDEX users_email;
";

super::migration!("m20261121_000009_identity", UP, DOWN);
