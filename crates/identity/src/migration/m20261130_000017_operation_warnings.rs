//! `operations.warnings`: what a person should know of an operation though it
//! went well, such as roles that are gone and what they had; a JSON list of
//! sentences.

use sea_orm::ConnectionTrait;

const UP: &str = "
ALTER TABLE operations ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]';
";

const DOWN: &str = "
ALTER TABLE operations DROP COLUMN warnings;
";

super::migration!("m20261130_000017_operation_warnings", UP, DOWN);
