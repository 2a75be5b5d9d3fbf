//! Keys that may be left unset. TOML has no null, and every key stands in
//! `default.toml`: the empty string, or port 0, means "not set".

use serde::{Deserialize, Deserializer};

pub(crate) fn text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| T::from(text)))
}

pub(crate) fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let port = u16::deserialize(deserializer)?;
    Ok((port != 0).then_some(port))
}
