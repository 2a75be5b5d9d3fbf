//! Idempotency keys: how a client says "this is the same request again".

use crate::{Error, Result};

/// A client's key, 1 to 128 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the key of a request; empty means the client gave none.
    pub fn parse(key: &str) -> Result<Option<Self>> {
        if key.is_empty() {
            return Ok(None);
        }
        if key.len() > 128 || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::invalid("request_id", "must have 1 to 128 printable characters"));
        }
        Ok(Some(Self(key.to_owned())))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
