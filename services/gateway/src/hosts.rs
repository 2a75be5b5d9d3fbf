//! Which tenant a host stands for.

use http::{HeaderMap, Uri, header};
use yuantus_domain::{Error, Result, TenantId};

/// What hosts mean.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// The domain whose subdomains are tenants; none if empty.
    pub root_domain: String,
    /// Hosts that are the platform's own, in lower case.
    pub platform_hosts: Vec<String>,
    /// Subdomains that are no tenant's, in lower case.
    pub reserved_subdomains: Vec<String>,
}

impl Hosts {
    /// The tenant whose host this is; `None` for hosts that are no tenant's.
    /// A subdomain that cannot be one is not found.
    pub fn tenant(&self, host: &str) -> Result<Option<TenantId>> {
        if self.root_domain.is_empty() {
            return Ok(None);
        }
        let host = host.to_ascii_lowercase();
        if self.platform_hosts.contains(&host) {
            return Ok(None);
        }
        let subdomain = host.strip_suffix(&self.root_domain).and_then(|sub| sub.strip_suffix('.'));
        let Some(subdomain) = subdomain else { return Ok(None) };
        if self.reserved_subdomains.iter().any(|reserved| reserved == subdomain) {
            return Ok(None);
        }
        let unknown = |_| Error::not_found("tenant", subdomain);
        TenantId::parse("host", subdomain).map_err(unknown).map(Some)
    }

    /// Whether what is the platform's may be asked for at this host.
    pub fn is_platforms(&self, host: &str) -> bool {
        self.platform_hosts.is_empty()
            || self.platform_hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

/// The host that a request is for, without its port; empty where it names
/// none.
pub fn of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    let named = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(http::uri::Authority::as_str).or_else(named);
    name(authority.unwrap_or_default())
}

/// The name in `name:port`.
pub fn name(authority: &str) -> &str {
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    authority[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        Hosts {
            root_domain: "example.com".into(),
            platform_hosts: vec!["admin.example.com".into(), "ops.internal".into()],
            reserved_subdomains: vec!["www".into()],
        }
    }

    #[test]
    fn subdomains_are_tenants_and_other_hosts_are_nobodys() {
        let tenant = |host| hosts().tenant(host).unwrap().map(String::from);
        assert_eq!(tenant("acme.example.com"), Some("acme".into()));
        assert_eq!(tenant("ACME.Example.COM"), Some("acme".into()));
        for nobodys in
            ["example.com", "www.example.com", "admin.example.com", "ops.internal", "localhost", ""]
        {
            assert_eq!(tenant(nobodys), None, "{nobodys}");
        }
        assert_eq!(tenant("acmeexample.com"), None, "not a subdomain");
        assert_eq!(Hosts::default().tenant("acme.example.com").unwrap(), None);
        for unknown in ["a.b.example.com", "a__b.example.com", ".example.com"] {
            assert_eq!(hosts().tenant(unknown).unwrap_err().reason(), "NOT_FOUND", "{unknown}");
        }
    }

    #[test]
    fn the_platforms_own_is_asked_for_at_its_hosts() {
        assert!(hosts().is_platforms("Admin.example.com"));
        assert!(!hosts().is_platforms("acme.example.com"));
        assert!(Hosts::default().is_platforms("anything"));
    }

    #[test]
    fn ports_and_final_dots_are_no_part_of_a_name() {
        for (authority, expected) in [
            ("acme.example.com:7910", "acme.example.com"),
            ("acme.example.com.", "acme.example.com"),
            ("[::1]:80", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(name(authority), expected);
        }
    }
}
