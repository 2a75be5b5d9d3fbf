//! Everything in the identity database that is sealed. A table with a sealed
//! column gets a kind here and the trigger of the migration `key_canaries`.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use crate::{Context, Result};

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The password of an org's role: `databases.sealed_password`.
    DatabasePassword,
    /// The key of an org's backups: `backup_keys.sealed_key`.
    BackupKey,
}

/// One sealed value.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Sealed {
    /// Whose it is.
    pub tenant_id: String,
    /// Of which org.
    pub org_id: String,
    /// Which version it was sealed as.
    pub version: i32,
    /// The value.
    pub sealed: Vec<u8>,
}

impl Kind {
    /// All there is.
    pub const ALL: [Self; 2] = [Self::DatabasePassword, Self::BackupKey];

    /// How people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DatabasePassword => "database password",
            Self::BackupKey => "backup key",
        }
    }

    /// The table, the sealed column and that of its version.
    fn columns(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::DatabasePassword => ("databases", "sealed_password", "password_version"),
            Self::BackupKey => ("backup_keys", "sealed_key", "version"),
        }
    }

    /// At most `limit` values behind an org, in order, that do not begin with
    /// `prefix`.
    pub async fn page(
        self,
        db: &impl ConnectionTrait,
        prefix: &[u8],
        (tenant, org): (&str, &str),
        limit: i64,
    ) -> Result<Vec<Sealed>> {
        let (table, sealed, version) = self.columns();
        let sql = format!(
            "SELECT tenant_id, org_id, {version} AS version, {sealed} AS sealed FROM {table}
             WHERE substring({sealed} FOR octet_length($1)) <> $1 AND (tenant_id, org_id) > ($2, $3)
             ORDER BY tenant_id, org_id LIMIT $4"
        );
        let values: [Value; 4] = [prefix.to_vec().into(), tenant.into(), org.into(), limit.into()];
        Sealed::find_by_statement(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .all(db)
            .await
            .during("read sealed values")
    }

    /// The value that was sealed first, if there is any.
    pub async fn first(self, db: &impl ConnectionTrait) -> Result<Option<Sealed>> {
        let (table, sealed, version) = self.columns();
        let sql = format!(
            "SELECT tenant_id, org_id, {version} AS version, {sealed} AS sealed FROM {table}
             ORDER BY created_at LIMIT 1"
        );
        Sealed::find_by_statement(Statement::from_string(DbBackend::Postgres, sql))
            .one(db)
            .await
            .during("read a sealed value")
    }

    /// Puts `new` in the place of a value that is as it was read. Answers whether
    /// it still was.
    pub async fn replace(
        self,
        db: &impl ConnectionTrait,
        before: &Sealed,
        new: Vec<u8>,
    ) -> Result<bool> {
        let (table, sealed, version) = self.columns();
        let sql = format!(
            "UPDATE {table} SET {sealed} = $1
             WHERE tenant_id = $2 AND org_id = $3 AND {version} = $4 AND {sealed} = $5"
        );
        let values: [Value; 5] = [
            new.into(),
            before.tenant_id.as_str().into(),
            before.org_id.as_str().into(),
            before.version.into(),
            before.sealed.clone().into(),
        ];
        let done = db
            .execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
            .during("replace a sealed value")?;
        Ok(done.rows_affected() == 1)
    }
}
