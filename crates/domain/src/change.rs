//! That something which others may remember is no longer as it was.

use uuid::Uuid;

use crate::{OrgKey, TenantId};

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// From now on every change is told.
    Listening,
    /// Changes may be missed from now on.
    Lost,
    /// A tenant.
    Tenant(TenantId),
    /// An org or its database.
    Org(OrgKey),
    /// A user.
    User(i32),
    /// A session.
    Session(Uuid),
    /// A key of a machine.
    ApiKey(Uuid),
    /// What a user is in an org.
    Member(OrgKey, i32),
    /// Something this version knows nothing of: it may be anything.
    Unknown,
}

impl Change {
    /// Reads what the identity database tells: a kind and an id, such as
    /// `org:acme/hq`.
    pub fn parse(told: &str) -> Self {
        let read = |(kind, id): (&str, &str)| match kind {
            "tenant" => TenantId::parse("tenant_id", id).ok().map(Self::Tenant),
            "org" => {
                let (tenant, org) = id.split_once('/')?;
                OrgKey::parse(tenant, org).ok().map(Self::Org)
            }
            "user" => id.parse().ok().map(Self::User),
            "session" => id.parse().ok().map(Self::Session),
            "api_key" => id.parse().ok().map(Self::ApiKey),
            "member" => {
                let (key, user) = id.rsplit_once('/')?;
                let (tenant, org) = key.split_once('/')?;
                Some(Self::Member(OrgKey::parse(tenant, org).ok()?, user.parse().ok()?))
            }
            _ => None,
        };
        told.split_once(':').and_then(read).unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let acme = TenantId::parse("tenant_id", "acme").unwrap();
        assert_eq!(Change::parse("tenant:acme"), Change::Tenant(acme));
        assert_eq!(Change::parse("org:a/b"), Change::Org(OrgKey::parse("a", "b").unwrap()));
        assert_eq!(Change::parse("user:7"), Change::User(7));
        let id = "0197aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee";
        assert_eq!(Change::parse(&format!("session:{id}")), Change::Session(id.parse().unwrap()));
        let key = OrgKey::parse("a", "b").unwrap();
        assert_eq!(Change::parse("member:a/b/7"), Change::Member(key, 7));
        for odd in
            ["", "tenant", "tenant:", "tenant:A", "org:a", "user:x", "member:a/7", "planet:earth"]
        {
            assert_eq!(Change::parse(odd), Change::Unknown, "{odd}");
        }
    }
}
