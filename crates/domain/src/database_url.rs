//! `YUANTUS_DATABASE_URL_TEMPLATE`: which server the orgs' databases are on
//! and how they are named.

use url::Url;

use crate::{DatabaseName, Error, OrgKey, Result};

/// A URL whose path holds `{tenant_id}` and `{org_id}`.
#[derive(Clone)]
pub struct DatabaseUrlTemplate {
    name_template: String,
}

impl DatabaseUrlTemplate {
    /// Parses a template; schemes `postgresql`, `postgres` and
    /// `postgresql+psycopg` are the same to us.
    pub fn parse(template: &str) -> Result<Self> {
        let invalid = |rule: &str| Error::invalid("database_url_template", rule);
        let (_, name) =
            template.rsplit_once('/').ok_or_else(|| invalid("must end in /DATABASE_NAME"))?;
        let name_template = name.split('?').next().unwrap_or_default().to_owned();
        for id in ["{tenant_id}", "{org_id}"] {
            if name_template.matches(id).count() != 1 {
                return Err(invalid("must hold {tenant_id} and {org_id} once each, in its path"));
            }
        }
        let literal = name_template.replace("{tenant_id}", "").replace("{org_id}", "");
        if !literal.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Err(invalid("may hold letters, digits, `_` and `-` only around the ids"));
        }
        if !name_template.contains("{tenant_id}__{org_id}") {
            return Err(invalid("must separate the ids by `__`, which no id holds"));
        }
        Ok(Self { name_template })
    }

    /// The name of an org's database.
    pub fn database_name(&self, key: &OrgKey) -> Result<DatabaseName> {
        DatabaseName::render(&self.name_template, key)
    }

    /// Whether some org's database may have this name, whole or cut.
    pub fn may_name(&self, name: &str) -> bool {
        let end = self.name_template.rsplit('}').next().unwrap_or_default();
        let ids = name.strip_prefix(self.prefix()).and_then(|rest| {
            // A cut name has its hash behind all of it.
            rest.strip_suffix(end).or_else(|| rest.rsplit_once("__").map(|(ids, _)| ids))
        });
        ids.is_some_and(|ids| {
            ids.split_once("__").is_some_and(|(t, o)| !t.is_empty() && !o.is_empty())
        })
    }

    /// What every name begins with, such as `yuantus_mt_pg__`.
    pub fn prefix(&self) -> &str {
        self.name_template.split('{').next().unwrap_or_default()
    }
}

/// Reads a PostgreSQL URL as SQLAlchemy and libpq write it: the driver part of
/// `postgresql+psycopg://` is dropped.
pub fn parse_url(field: &'static str, text: &str) -> Result<Url> {
    let (scheme, rest) =
        text.split_once("://").ok_or_else(|| Error::invalid(field, "must be a URL"))?;
    let base = scheme.split('+').next().unwrap_or_default();
    if !matches!(base, "postgres" | "postgresql") {
        return Err(Error::invalid(field, "must be a postgresql:// URL"));
    }
    Url::parse(&format!("postgresql://{rest}"))
        .map_err(|_| Error::invalid(field, "must be a postgresql:// URL"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OrgId, TenantId};

    #[test]
    fn names_of_orgs_databases_are_known_from_others() {
        let template =
            |name: &str| DatabaseUrlTemplate::parse(&format!("postgresql://u@h/{name}")).unwrap();
        let key = |tenant: &str, org: &str| OrgKey {
            tenant: TenantId::parse("tenant", tenant).unwrap(),
            org: OrgId::parse("org", org).unwrap(),
        };
        for name in ["yuantus_mt_pg__{tenant_id}__{org_id}", "{tenant_id}__{org_id}_db"] {
            let template = template(name);
            let long = "a".repeat(60);
            for key in [key("acme", "hq"), key(&long, &long)] {
                let name = template.database_name(&key).unwrap();
                assert!(template.may_name(name.as_str()), "{name}");
            }
            for other in ["yuantus_identity_mt_pg", "postgres", "yuantus_identity", "x__"] {
                assert!(!template.may_name(other), "{other}");
            }
        }
    }
}
