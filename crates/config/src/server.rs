//! `[server]`: what the API listens on.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use serde::Deserialize;

use crate::optional;

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Server {
    /// Address gRPC and REST are served on.
    pub listen: SocketAddr,
    /// Seconds requests under way get to finish at a stop.
    pub drain_seconds: f64,
    /// Seconds after which a request is given up.
    pub request_timeout_seconds: f64,
    /// Origins whose pages may read answers; `*` is every one.
    pub cors_origins: Vec<String>,
    /// Addresses and networks of proxies whose X-Forwarded-For is taken.
    pub trusted_proxies: Vec<String>,
    /// PEM file of our certificate; TLS is on where there is one.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its key.
    pub tls_key: Option<PathBuf>,
    /// PEM file of the authorities whose clients' certificates are taken.
    pub tls_client_ca: Option<PathBuf>,
    /// Whether clients must have a certificate.
    pub tls_client_certificates: ClientCertificates,
}

/// Whether clients of a TLS connection must have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// Verified where one is presented.
    Optional,
    /// No connection without.
    Required,
}

impl Server {
    /// How long requests under way get to finish at a stop.
    pub fn drain(&self) -> Duration {
        Duration::from_secs_f64(self.drain_seconds)
    }

    /// The networks of proxies whose X-Forwarded-For is taken.
    pub fn proxies(&self) -> Vec<IpNet> {
        self.trusted_proxies.iter().filter_map(|text| network(text)).collect()
    }

    /// After what time a request is given up.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.request_timeout_seconds)
    }
}

/// The network that a text names; an address is one of its own.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    host: String,
    port: u16,
    drain_seconds: f64,
    request_timeout_seconds: f64,
    cors_origins: Vec<String>,
    trusted_proxies: Vec<String>,
    #[serde(deserialize_with = "optional::text")]
    tls_certificate: Option<String>,
    #[serde(deserialize_with = "optional::text")]
    tls_key: Option<String>,
    #[serde(deserialize_with = "optional::text")]
    tls_client_ca: Option<String>,
    tls_client_certificates: ClientCertificates,
}

impl TryFrom<Raw> for Server {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let ip = match raw.host.as_str() {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host.trim_matches(['[', ']']).parse().map_err(|_| {
                format!("server.host must be an IP address or localhost, not `{host}`")
            })?,
        };
        Ok(Self {
            listen: SocketAddr::new(ip, raw.port),
            drain_seconds: raw.drain_seconds,
            request_timeout_seconds: raw.request_timeout_seconds,
            cors_origins: raw.cors_origins,
            trusted_proxies: raw.trusted_proxies,
            tls_certificate: raw.tls_certificate.map(PathBuf::from),
            tls_key: raw.tls_key.map(PathBuf::from),
            tls_client_ca: raw.tls_client_ca.map(PathBuf::from),
            tls_client_certificates: raw.tls_client_certificates,
        })
    }
}
