//! What a role that does not own the identity database needs, to be the API's
//! and the workers': everything but to change or delete the audit trail.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};

use crate::{Context, Result};

/// Grants `role` what API and workers do. What it could do before to the audit
/// trail is taken from it.
pub async fn grant(db: &DatabaseConnection, role: &str) -> Result<()> {
    let txn = db.begin().await.during("begin")?;
    // A name cannot be a parameter of GRANT: `format` quotes it.
    let quoted = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT format('%I', $1::text) AS role, format('%I', current_schema()) AS schema,
            format('%I', current_database()) AS database",
        [role.into()],
    );
    let names = txn.query_one_raw(quoted).await.during("quote role")?;
    let names = names.ok_or(sea_orm::DbErr::RecordNotFound("role".into())).during("quote role")?;
    let role: String = names.try_get("", "role").during("quote role")?;
    let schema: String = names.try_get("", "schema").during("quote role")?;
    let database: String = names.try_get("", "database").during("quote role")?;
    let sql = format!(
        "GRANT CONNECT ON DATABASE {database} TO {role};
         GRANT USAGE ON SCHEMA {schema} TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};
         ALTER DEFAULT PRIVILEGES IN SCHEMA {schema}
             GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
         ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {role};
         REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER ON audit_logs, audit_checkpoints FROM {role};
         REVOKE INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER ON audit_heads FROM {role};
         REVOKE INSERT, UPDATE, DELETE ON seaql_migrations FROM {role};
         GRANT EXECUTE ON FUNCTION audit_prune(text, bigint) TO {role};"
    );
    txn.execute_unprepared(&sql).await.during("grant")?;
    txn.commit().await.during("commit grants")
}
