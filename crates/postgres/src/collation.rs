//! Databases whose collation version is not the server's any more.
//!
//! Text is sorted by libraries of the system, and indexes are kept in that
//! order. When the libraries change, PostgreSQL says so of each database, and
//! refuses to clone one: what is in its indexes may be out of order.

use std::collections::BTreeSet;

use yuantus_domain::DatabaseName;

use crate::{Error, LaneSession, Result, Server, catalog::list, session::Doing};

const STALE: &str = "SELECT datname::text FROM pg_database WHERE datcollversion IS NOT NULL \
     AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid) \
     AND datname IN";

impl Server {
    /// Those of `names` whose collation version is not the server's.
    pub async fn stale_collations(
        &self,
        names: &[&DatabaseName],
    ) -> Result<BTreeSet<DatabaseName>> {
        let Some(first) = names.first() else { return Ok(BTreeSet::new()) };
        let doing = Doing("compare collation versions of", first.as_str());
        let rows = self.read(doing, format!("{STALE} ({})", list(names))).await?;
        let mut stale = BTreeSet::new();
        for row in rows {
            let name: String =
                sqlx::Row::try_get(&row, 0).map_err(|source| doing.failed(source))?;
            stale.extend(DatabaseName::parse(&name).ok());
        }
        Ok(stale)
    }
}

impl LaneSession {
    /// Names the cause where a clone of `template` was refused for its
    /// collation version, for which the server has no SQLSTATE.
    pub(crate) async fn explain_refusal<T>(&self, template: &str, made: Result<T>) -> Result<T> {
        match made {
            Err(Error::Statement { operation, subject, source })
                if source.as_database_error().and_then(|answer| answer.code()).as_deref()
                    == Some("XX000") =>
            {
                let name = DatabaseName::parse(template);
                let stale = match &name {
                    Ok(name) => self.server().stale_collations(&[name]).await?,
                    Err(_) => BTreeSet::new(),
                };
                Err(match stale.is_empty() {
                    true => Error::Statement { operation, subject, source },
                    false => Error::StaleCollation { template: template.to_owned(), source },
                })
            }
            made => made,
        }
    }
}
