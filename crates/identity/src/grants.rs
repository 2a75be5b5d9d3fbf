//! What a role that does not own the identity database needs, to be the API's
//! and the workers': everything but to change or delete the audit trail.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};

use crate::{Context, Error, Result};

/// What a role is that cannot be one without ownership.
const ROLE: &str = "
    SELECT rolsuper AS superuser, oid IN (SELECT oid FROM pg_roles
            WHERE rolname IN (current_user, session_user)) AS ours,
        pg_has_role(oid, (SELECT datdba FROM pg_database
            WHERE datname = current_database()), 'MEMBER') AS of_database,
        EXISTS (SELECT FROM pg_class WHERE relnamespace = current_schema()::regnamespace
            AND pg_has_role(pg_roles.oid, relowner, 'MEMBER')) AS of_tables
    FROM pg_roles WHERE rolname = $1";

/// Grants `role` what API and workers do. What it could do before to the audit
/// trail is taken from it, so a role is refused that would lock everybody out:
/// the one that owns the database or its tables, that may act as it, or that we
/// log in as.
pub async fn grant(db: &DatabaseConnection, role: &str) -> Result<()> {
    let txn = db.begin().await.during("begin")?;
    check_role(&txn, role).await?;
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

async fn check_role(txn: &impl ConnectionTrait, role: &str) -> Result<()> {
    let refused = |rule| Err(Error::Role { role: role.to_owned(), rule });
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, ROLE, [role.into()]);
    let Some(found) = txn.query_one_raw(statement).await.during("look up role")? else {
        return refused("is not there; make it first, with CREATE ROLE … LOGIN");
    };
    let is = |what: &str| found.try_get::<bool>("", what).during("look up role");
    if is("ours")? {
        return refused(
            "is the role of identity.database_url itself; give it to `yuantus db` alone",
        );
    }
    if is("superuser")? {
        return refused("is a superuser, whom no grant keeps from the audit trail");
    }
    if is("of_database")? {
        return refused("owns the identity database, or may act as the role that does");
    }
    if is("of_tables")? {
        return refused("owns tables of the identity database, or may act as the role that does");
    }
    Ok(())
}
