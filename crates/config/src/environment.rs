//! Where a deployment runs, which decides how weak a secret may be.

use serde::Deserialize;

/// Where a deployment runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A developer's machine.
    Dev,
    /// Anywhere else.
    Production,
}
