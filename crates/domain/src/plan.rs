//! Plans: which limits a tenant's databases have.

use crate::{Error, Result};

/// A tenant's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The default.
    Basic,
    /// Larger.
    Pro,
    /// Largest.
    Enterprise,
}

impl Plan {
    /// Reads a plan; empty means basic.
    pub fn parse(plan: &str) -> Result<Self> {
        match plan {
            "" | "basic" => Ok(Self::Basic),
            "pro" => Ok(Self::Pro),
            "enterprise" => Ok(Self::Enterprise),
            _ => Err(Error::invalid("plan", "must be basic, pro or enterprise")),
        }
    }

    /// The plan's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }

    /// How many connections the server takes to one database of this plan.
    pub const fn connection_limit(self) -> u32 {
        match self {
            Self::Basic => 20,
            Self::Pro => 50,
            Self::Enterprise => 200,
        }
    }

    /// After how many seconds the server ends a statement; 0 is never.
    pub const fn statement_timeout_seconds(self) -> u32 {
        match self {
            Self::Basic => 60,
            Self::Pro => 300,
            Self::Enterprise => 0,
        }
    }
}
