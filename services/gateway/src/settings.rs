//! What the front door needs to know.

use std::{sync::Arc, time::Duration};

use ipnet::IpNet;
use yuantus_auth::Tokens;
use yuantus_config::AuthMode;

use crate::{Hosts, Memory, Observer, tls::TlsSettings};

/// Turns a domain error into a status: the one mapping of the control plane.
pub type ToStatus = fn(yuantus_domain::Error) -> tonic::Status;

/// A token that stands in the configuration.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// Whether it is good even where there is a platform administrator.
    pub always: bool,
}

/// How the gateway behaves.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Whether callers need a token.
    pub auth_mode: AuthMode,
    /// Verifies them.
    pub tokens: Tokens,
    /// The token for the time before there is a platform administrator.
    pub bootstrap: Option<Bootstrap>,
    /// What is known of tenants, orgs and users.
    pub memory: Memory,
    /// Which tenant a host stands for.
    pub hosts: Hosts,
    /// How refusals of the gateway itself become statuses.
    pub to_status: ToStatus,
    /// Whether requests are in the audit trail; shown by `/api/v1/health`.
    pub audit_enabled: bool,
    /// How long requests under way get to finish at a stop.
    pub drain: Duration,
    /// How long a client may take to send a request's headers, and how long
    /// an HTTP/1.1 connection may idle.
    pub header_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// How long a request may take that does not wait or stream.
    pub request_timeout: Duration,
    /// Whether `/api/v1/admin/tenants` is served.
    pub platform_admin: bool,
    /// The largest file that is taken.
    pub max_file_bytes: u64,
    /// Origins whose pages may read answers; `*` is every one.
    pub cors_origins: Vec<String>,
    /// Networks of proxies that are believed about where a request came from.
    pub trusted_proxies: Vec<IpNet>,
    /// Who is told of every request.
    pub observer: Option<Arc<dyn Observer>>,
    /// TLS, where it is on.
    pub tls: Option<TlsSettings>,
    /// How often certificates' files are looked at.
    pub certificate_interval: Duration,
}

impl GatewaySettings {
    /// Authentication required, no tenant's hosts, audit on, half a minute for
    /// each part of a request and a minute for the whole, no other origins.
    pub fn new(tokens: Tokens, memory: Memory, to_status: ToStatus) -> Self {
        Self {
            auth_mode: AuthMode::Required,
            tokens,
            bootstrap: None,
            memory,
            hosts: Hosts::default(),
            to_status,
            audit_enabled: true,
            drain: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            platform_admin: true,
            max_file_bytes: 1 << 30,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            observer: None,
            tls: None,
            certificate_interval: Duration::from_secs(5),
        }
    }
}
