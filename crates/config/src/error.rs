//! Why a configuration was refused. An error names keys and rules, never a
//! value: a value may be a secret.

use std::{fmt, path::PathBuf};

/// What this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file given is not there or cannot be read.
    #[error("read configuration file {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others can read or write the file given.
    #[error("configuration file {} {rule}", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// What is wrong, as the rest of a sentence.
        rule: &'static str,
    },
    /// The file given is not TOML.
    #[error("configuration file {} is not TOML: line {line}: {message}", path.display())]
    ParseFile {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// What is wrong, without the text around it.
        message: String,
    },
    /// Values break rules.
    #[error("invalid configuration: {}", join(problems))]
    Invalid {
        /// Each of them.
        problems: Vec<Problem>,
    },
}

/// A key and the rule that its value breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `worker.lease_seconds`.
    pub key: String,
    /// What its value must be, as the rest of a sentence.
    pub rule: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { key: key.into(), rule: rule.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.rule)
    }
}

fn join(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
