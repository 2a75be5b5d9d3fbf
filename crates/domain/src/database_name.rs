//! Names of the orgs' databases. A name fits PostgreSQL's 63 bytes, and two
//! orgs never get the same one.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{Error, OrgKey, Result};

/// PostgreSQL's NAMEDATALEN less the NUL.
pub const MAX_BYTES: usize = 63;

const HASH_DIGITS: usize = 10;

/// The name of a PostgreSQL database, at most 63 bytes. Stored once when an
/// org is created, never derived again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabaseName(String);

impl DatabaseName {
    /// Takes a name that was stored, or made by us.
    pub fn parse(name: &str) -> Result<Self> {
        if name.is_empty() || name.len() > MAX_BYTES || name.contains('\0') {
            return Err(Error::invalid("database", "must have 1 to 63 bytes"));
        }
        Ok(Self(name.to_owned()))
    }

    /// Renders `template`, which holds `{tenant_id}` and `{org_id}`, for an
    /// org. A name over 63 bytes becomes
    /// `<prefix><tenant cut>__<org cut>__<10 hex of SHA-256("tenant/org")>`;
    /// ids hold no `__`, so three parts never meet a name of two.
    pub fn render(template: &str, key: &OrgKey) -> Result<Self> {
        let full = fill(template, key.tenant.as_str(), key.org.as_str());
        if full.len() <= MAX_BYTES {
            return Self::parse(&full);
        }
        let digest = hex::encode(Sha256::digest(key.to_string()));
        let suffix = format!("__{}", &digest[..HASH_DIGITS]);
        let fixed = fill(template, "", "").len() + suffix.len();
        let room = MAX_BYTES
            .checked_sub(fixed)
            .filter(|room| *room >= 2)
            .ok_or_else(|| Error::invalid("database_url_template", "leaves no room for ids"))?;
        let (tenant, org) = cut(key.tenant.as_str(), key.org.as_str(), room);
        Self::parse(&format!("{}{suffix}", fill(template, tenant, org)))
    }

    /// The name as text, unquoted.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn fill(template: &str, tenant: &str, org: &str) -> String {
    template.replace("{tenant_id}", tenant).replace("{org_id}", org)
}

/// Shares `room` bytes: each gets half, and what the other does not need.
/// A trailing `_` would make a `___` with the separator: it is cut off too.
fn cut<'a>(tenant: &'a str, org: &'a str, room: usize) -> (&'a str, &'a str) {
    let half = room / 2;
    let tenant_len = tenant.len().min(half.max(room.saturating_sub(org.len())));
    let org_len = org.len().min(room - tenant_len);
    let trim = |s: &'a str| s.trim_end_matches(['_', '-']);
    (trim(&tenant[..tenant_len]), trim(&org[..org_len]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEMPLATE: &str = "yuantus_mt_pg__{tenant_id}__{org_id}";

    fn name(tenant: &str, org: &str) -> String {
        DatabaseName::render(TEMPLATE, &OrgKey::parse(tenant, org).unwrap()).unwrap().0
    }

    #[test]
    fn short_pairs_are_verbatim() {
        assert_eq!(name("tenant-1", "org-1"), "yuantus_mt_pg__tenant-1__org-1");
    }

    #[test]
    fn long_pairs_are_cut_and_hashed() {
        let long = name(&"t".repeat(64), &"o".repeat(64));
        assert!(long.len() <= MAX_BYTES, "{long}");
        assert_eq!(long.matches("__").count(), 3, "{long}");
        assert_ne!(long, name(&"t".repeat(64), &"o".repeat(63)));
    }

    proptest! {
        #[test]
        fn every_pair_fits_and_no_two_pairs_meet(
            a in "[a-z0-9]([a-z0-9]|_[a-z0-9]|-){0,20}[a-z0-9]", b in "[a-z0-9]{1,64}",
            c in "[a-z0-9]([a-z0-9]|_[a-z0-9]|-){0,20}[a-z0-9]", d in "[a-z0-9]{1,64}",
        ) {
            let (one, two) = (name(&a, &b), name(&c, &d));
            prop_assert!(one.len() <= MAX_BYTES && two.len() <= MAX_BYTES);
            prop_assert_eq!(one == two, a == c && b == d);
        }
    }
}
