//! Which tenant and org a request is for.
//!
//! Invariant: headers and hosts never widen what a token allows. Who
//! contradicts the token is refused, unless it is a platform administrator,
//! who then acts within that tenant. Without a token only the host counts:
//! headers of nobody say nothing.

use http::{HeaderMap, HeaderName};
use yuantus_auth::Principal;
use yuantus_domain::{Error, OrgId, Result, TenantId, id::PLATFORM};

/// The header that names a tenant.
pub const TENANT_ID: HeaderName = HeaderName::from_static("x-tenant-id");
/// The header that names an org of that tenant.
pub const ORG_ID: HeaderName = HeaderName::from_static("x-org-id");

/// The tenant and org a request is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// The org within it.
    pub org: Option<OrgId>,
    /// Whether a platform administrator acts within a tenant.
    pub impersonating: bool,
}

/// What token, headers and host say together.
pub fn resolve(
    principal: Option<&Principal>,
    headers: &HeaderMap,
    host: Option<TenantId>,
) -> Result<Context> {
    let tenant = named(headers, &TENANT_ID)?.map(|id| TenantId::parse("x-tenant-id", id));
    let org = named(headers, &ORG_ID)?.map(|id| OrgId::parse("x-org-id", id));
    // Platform administrators belong to no tenant: naming their own is naming none.
    let tenant = tenant.transpose()?.filter(|tenant| tenant.as_str() != PLATFORM);
    let org = org.transpose()?;
    match principal {
        None => Ok(Context { tenant: host, org: None, impersonating: false }),
        Some(principal) if principal.is_platform() => {
            let tenant = tenant.or(host);
            let impersonating = tenant.is_some();
            Ok(Context { tenant, org, impersonating })
        }
        Some(principal) => of_tenant(principal, [tenant, host], org),
    }
}

fn of_tenant(
    principal: &Principal,
    named: [Option<TenantId>; 2],
    org: Option<OrgId>,
) -> Result<Context> {
    // A user of `platform` who is no administrator there has no tenant.
    let own = match principal.tenant.as_str() {
        PLATFORM => None,
        own => Some(TenantId::parse("tenant_id", own)?),
    };
    if named.iter().any(|named| named.is_some() && *named != own) {
        return Err(mismatch("TENANT_MISMATCH", "the token is for another tenant"));
    }
    if let (Some(named), Some(own)) = (&org, &principal.org)
        && named != own
    {
        return Err(mismatch("ORG_MISMATCH", "the token is for another org"));
    }
    Ok(Context { tenant: own, org: principal.org.clone().or(org), impersonating: false })
}

fn mismatch(reason: &'static str, message: &str) -> Error {
    Error::PermissionDenied { reason, message: message.to_owned() }
}

/// The one value of a header; `None` where it is missing or empty. Two of them
/// are refused: proxies disagree on which one counts.
fn named<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::invalid(name.as_str(), "must be given once"));
    }
    let value = value.to_str().map_err(|_| Error::invalid(name.as_str(), "must be ASCII"))?;
    Ok(Some(value).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use yuantus_auth::Role;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn user(tenant: &str, role: Role, org: Option<&str>) -> Principal {
        let org = org.map(|org| OrgId::parse("org", org).unwrap());
        Principal { tenant: tenant.into(), roles: vec![role], org, ..Principal::anonymous() }
    }

    fn shown(context: Result<Context>) -> String {
        match context {
            Ok(Context { tenant, org, impersonating }) => {
                let or = |id: Option<String>| id.unwrap_or_else(|| "-".into());
                let (tenant, org) = (tenant.map(String::from), org.map(String::from));
                format!("{}/{} {impersonating}", or(tenant), or(org))
            }
            Err(error) => error.reason().to_owned(),
        }
    }

    #[test]
    fn the_token_wins_and_headers_fill_what_it_leaves_open() {
        let bound = user("acme", Role::Member, Some("hq"));
        let free = user("acme", Role::TenantAdmin, None);
        let owner = user("platform", Role::PlatformAdmin, None);
        let acme = [("x-tenant-id", "acme"), ("x-org-id", "hq")];
        let other = [("x-tenant-id", "other")];
        let cases: [(_, &[_], _); 10] = [
            (Some(&bound), &acme[..0], "acme/hq false"),
            (Some(&bound), &acme, "acme/hq false"),
            (Some(&bound), &other, "TENANT_MISMATCH"),
            (Some(&bound), &[("x-org-id", "eu")], "ORG_MISMATCH"),
            (Some(&free), &[("x-org-id", "eu")], "acme/eu false"),
            (Some(&free), &other, "TENANT_MISMATCH"),
            (Some(&owner), &acme, "acme/hq true"),
            (Some(&owner), &[("x-tenant-id", "platform")], "-/- false"),
            (Some(&owner), &acme[..0], "-/- false"),
            (None, &acme, "-/- false"),
        ];
        for (principal, given, expected) in cases {
            let resolved = resolve(principal, &headers(given), None);
            assert_eq!(shown(resolved), expected, "{principal:?} {given:?}");
        }
    }

    #[test]
    fn a_host_counts_like_a_header_and_for_nobody_too() {
        let member = user("acme", Role::Member, None);
        let owner = user("platform", Role::PlatformAdmin, None);
        let acme = || Some(TenantId::parse("host", "acme").unwrap());
        let other = || Some(TenantId::parse("host", "other").unwrap());
        let none = HeaderMap::new();
        assert_eq!(shown(resolve(None, &none, acme())), "acme/- false");
        assert_eq!(shown(resolve(Some(&member), &none, acme())), "acme/- false");
        assert_eq!(shown(resolve(Some(&member), &none, other())), "TENANT_MISMATCH");
        assert_eq!(shown(resolve(Some(&owner), &none, acme())), "acme/- true");
        let named = headers(&[("x-tenant-id", "acme")]);
        assert_eq!(shown(resolve(Some(&owner), &named, other())), "acme/- true");
        assert_eq!(shown(resolve(Some(&member), &named, other())), "TENANT_MISMATCH");
    }

    #[test]
    fn odd_headers_are_refused_whoever_sends_them() {
        let owner = user("platform", Role::PlatformAdmin, None);
        for given in [
            &[("x-tenant-id", "acme"), ("x-tenant-id", "acme")][..],
            &[("x-tenant-id", "acme"), ("x-tenant-id", "")],
            &[("x-tenant-id", "acme,other")],
            &[("x-tenant-id", "acme, acme")],
            &[("x-tenant-id", "Acme")],
            &[("x-tenant-id", " acme")],
            &[("x-org-id", "hq"), ("x-org-id", "eu")],
            &[("x-org-id", "../hq")],
        ] {
            let refused = shown(resolve(Some(&owner), &headers(given), None));
            assert_eq!(refused, "INVALID_ARGUMENT", "{given:?}");
        }
    }
}
