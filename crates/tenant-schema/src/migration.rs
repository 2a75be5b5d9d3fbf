//! One migration of a bundle.

use sha2::{Digest, Sha256};

/// One step of a schema, as one file says it.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Its place in the order; at least 1.
    pub version: i64,
    /// What it does, from its file's name.
    pub description: String,
    /// What is run. A `BEGIN` and `COMMIT` around the whole file are blanked
    /// out: the runner's own transaction holds the record too.
    pub sql: String,
    /// SHA-256 of the file's text, line ends as `\n`.
    pub checksum: [u8; 32],
    /// Whether it runs outside a transaction.
    pub no_transaction: bool,
    /// The `.check.sql` twin, run after it.
    pub check_sql: Option<String>,
    /// The file's name.
    pub file: String,
}

impl Migration {
    /// The name of the `.check.sql` twin.
    pub fn check_file(&self) -> String {
        let stem = self.file.strip_suffix(".sql").unwrap_or(&self.file);
        format!("{}.check.sql", stem.strip_suffix(".up").unwrap_or(stem))
    }
}

pub(crate) fn checksum(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
