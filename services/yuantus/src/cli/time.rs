//! Times as people read them.

use chrono::{DateTime, SecondsFormat};
use pbjson_types::Timestamp;

/// RFC 3339 in UTC, to the second; empty where there is none.
pub(crate) fn time(timestamp: Option<&Timestamp>) -> String {
    timestamp
        .and_then(|t| DateTime::from_timestamp(t.seconds, 0))
        .map_or_else(String::new, |t| t.to_rfc3339_opts(SecondsFormat::Secs, true))
}
