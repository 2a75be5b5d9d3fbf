//! Where a request came from, when proxies stand in between.
//!
//! Invariant: only a proxy that the configuration names is believed, and only
//! about who came to it. What a client writes into `X-Forwarded-For` itself is
//! left of what the first such proxy adds, and is never reached.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Believes those of these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    fn believes(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Where a request of `peer` came from: the last address that no proxy of
    /// ours has.
    pub fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut source = peer.to_canonical();
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let parts = values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
        for part in parts {
            if !self.believes(source) {
                break;
            }
            // What cannot be read ends the way.
            let Some(before) = address(part.trim()) else { break };
            source = before;
        }
        source
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let plain = text.trim_start_matches('[').trim_end_matches(']').parse().ok();
    plain.or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn source(trusted: &[&str], peer: &str, forwarded: &[&'static str]) -> String {
        let proxies = Proxies::new(trusted.iter().map(|text| text.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        proxies.source(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_proxies_of_ours_are_believed_and_only_about_who_came_to_them() {
        let ours = &["10.0.0.0/8", "192.168.1.1/32", "fd00::/8"][..];
        for (peer, forwarded, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1, 192.168.1.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.9.9.9"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
        ] {
            assert_eq!(source(ours, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(source(&[], "10.0.0.1", &["198.51.100.1"]), "10.0.0.1");
    }
}
