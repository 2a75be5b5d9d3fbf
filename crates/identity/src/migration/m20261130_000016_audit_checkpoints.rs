//! Checkpoints of the audit trail are a chain of their own: `number` counts a
//! tenant's from 1 without gaps, and `previous` is the SHA-256 of the checkpoint
//! before, signature included; both are signed. So none can be deleted but the
//! newest, of which the bucket has a copy.
//!
//! Checkpoints that were there before have no number. The `previous` of number 1
//! is made from all of them in the order of their ids (32 zero bytes, then for
//! each the SHA-256 of what was made so far and the checkpoint), which keeps them
//! as it found them.
//!
//! `recovery`: somebody went on behind a number that the bucket knows and the
//! identity database has lost; only there numbers are left out.

use sea_orm::ConnectionTrait;

const UP: &str = "
ALTER TABLE audit_checkpoints
    ADD COLUMN number   bigint,
    ADD COLUMN previous bytea,
    ADD CHECK (number > 0 AND (number IS NULL) = (previous IS NULL)),
    DROP CONSTRAINT audit_checkpoints_kind_check,
    ADD CONSTRAINT audit_checkpoints_kind_check
        CHECK (kind IN ('prune', 'periodic', 'recovery'));
CREATE UNIQUE INDEX audit_checkpoints_number
    ON audit_checkpoints (tenant_id, number DESC NULLS LAST);
CREATE INDEX audit_checkpoints_created ON audit_checkpoints (created_at);
";

// A former version takes numbered checkpoints for forged ones, since it does not
// know what was signed: they go, with what they say of rows that are there. What
// was pruned can be verified by them alone, so they must not have pruned any.
const DOWN: &str = "
DO $$
BEGIN
    IF EXISTS (SELECT FROM audit_checkpoints WHERE number IS NOT NULL AND kind = 'prune') THEN
        RAISE EXCEPTION 'the audit trail was pruned since: there is no way back';
    END IF;
END
$$;
DROP INDEX audit_checkpoints_number;
DROP INDEX audit_checkpoints_created;
ALTER TABLE audit_checkpoints DISABLE TRIGGER append_only;
DELETE FROM audit_checkpoints WHERE number IS NOT NULL;
ALTER TABLE audit_checkpoints ENABLE TRIGGER append_only;
ALTER TABLE audit_checkpoints
    DROP COLUMN number,
    DROP COLUMN previous,
    DROP CONSTRAINT audit_checkpoints_kind_check,
    ADD CONSTRAINT audit_checkpoints_kind_check CHECK (kind IN ('prune', 'periodic'));
";

super::migration!("m20261130_000016_audit_checkpoints", UP, DOWN);
