//! `[metrics]`: where metrics are shown.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, de::Error};

/// `[metrics]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where the API shows them.
    #[serde(deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
    /// Where workers show them.
    #[serde(deserialize_with = "address")]
    pub worker_listen: Option<SocketAddr>,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "an IP address and port, such as 127.0.0.1:9464";
    let refused = || D::Error::invalid_value(serde::de::Unexpected::Other("text"), &expected);
    text.parse().map(Some).map_err(|_| refused())
}
