//! Keys that may be left unset. TOML has no null, and every key stands in
//! `default.toml`: the empty string, or port 0, means "not set".

use secrecy::SecretString;
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

/// A list, or text with commas between its parts, as the environment has it.
pub(crate) fn secrets<'de, D>(deserializer: D) -> Result<Vec<SecretString>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        List(Vec<String>),
        Text(String),
    }
    let parts = match Given::deserialize(deserializer)? {
        Given::List(parts) => parts,
        Given::Text(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
    };
    Ok(parts.into_iter().filter(|part| !part.is_empty()).map(SecretString::from).collect())
}
