//! `key_canaries`: proof of which keys are in use. Of purpose `secrets` there is
//! one row for each key that something here may be sealed with: `canary` is a
//! constant sealed with it, which a process opens before it does anything else.
//! Of purpose `tokens`, `key_name` alone names a secret that tokens are signed
//! with.
//!
//! Triggers refuse what is sealed, and checkpoints that are signed, with a key
//! that has no row, so a key whose row is deleted makes nothing any more, whoever
//! still runs with it. Writers hold the lock of `sealing_lock()` shared until they
//! commit; who deletes a row holds it alone, and sees all that was written before.
//! What was made before keys had names passes: it does not say which key it needs.

use sea_orm::ConnectionTrait;

const UP: &str = "
CREATE TABLE key_canaries (
    purpose    text NOT NULL CHECK (purpose IN ('secrets', 'tokens')),
    key_name   text NOT NULL,
    canary     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (purpose, key_name)
);
CREATE FUNCTION sealing_lock() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('yuantus sealing', 0)
$$;
CREATE FUNCTION check_key(key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(sealing_lock());
    IF NOT EXISTS (SELECT FROM key_canaries WHERE purpose = 'secrets' AND key_name = key) THEN
        RAISE EXCEPTION 'key % is not in use any more', key;
    END IF;
END
$$;
CREATE FUNCTION check_sealing_key(sealed bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF substring(sealed FOR 1) = '\\x02' THEN
        PERFORM check_key(encode(substring(sealed FROM 3 FOR get_byte(sealed, 1)), 'escape'));
    END IF;
END
$$;
CREATE FUNCTION check_signing_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.key_id ~ '^[0-9a-f]{16}$' THEN
        PERFORM check_key(NEW.key_id);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER signing_key BEFORE INSERT ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION check_signing_key();
CREATE FUNCTION check_sealed_password() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.sealed_password <> OLD.sealed_password THEN
        PERFORM check_sealing_key(NEW.sealed_password);
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION check_sealed_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.sealed_key <> OLD.sealed_key THEN
        PERFORM check_sealing_key(NEW.sealed_key);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER sealing_key BEFORE INSERT OR UPDATE OF sealed_password ON databases
    FOR EACH ROW EXECUTE FUNCTION check_sealed_password();
CREATE TRIGGER sealing_key BEFORE INSERT OR UPDATE OF sealed_key ON backup_keys
    FOR EACH ROW EXECUTE FUNCTION check_sealed_key();
REVOKE ALL ON key_canaries FROM PUBLIC;
";

const DOWN: &str = "
DROP TRIGGER sealing_key ON databases;
DROP TRIGGER sealing_key ON backup_keys;
DROP TRIGGER signing_key ON audit_checkpoints;
DROP FUNCTION check_signing_key();
DROP FUNCTION check_sealed_password();
DROP FUNCTION check_sealed_key();
DROP FUNCTION check_sealing_key(bytea);
DROP FUNCTION check_key(text);
DROP FUNCTION sealing_lock();
DROP TABLE key_canaries;
";

super::migration!("m20261130_000013_key_canaries", UP, DOWN);
