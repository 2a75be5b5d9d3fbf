//! What is printed of a measure.

use std::{fmt, io::Write};

use serde::Serialize;

use crate::Result;

/// Every measure, in the order in which they are taken.
pub(crate) const NAMES: [&str; 15] = [
    "provision_p50",
    "provision_p99",
    "provision_vs_migrate",
    "engine_operations",
    "backup",
    "restore",
    "memory_start",
    "memory_worker",
    "tenant_rps",
    "tenant_p99",
    "authz_rps",
    "authz_p99",
    "listing",
    "data_memory",
    "data_connections",
];

/// What a measure's ratio is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// `ours / baseline` is at most this.
    AtMost(f64),
    /// `ours / baseline` is at least this.
    AtLeast(f64),
    /// `baseline / ours` is at least this: so many times as fast.
    TimesAsFast(f64),
}

impl Goal {
    /// The ratio that the goal speaks of.
    pub(crate) fn ratio(self, ours: f64, baseline: f64) -> f64 {
        match self {
            Self::AtMost(_) | Self::AtLeast(_) => ours / baseline,
            Self::TimesAsFast(_) => baseline / ours,
        }
    }

    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(limit) => ratio <= limit,
            Self::AtLeast(limit) | Self::TimesAsFast(limit) => ratio >= limit,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::AtLeast(limit) | Self::TimesAsFast(limit) => write!(f, ">= {limit}"),
        }
    }
}

/// A measure that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    /// Of `ours` and `baseline`.
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) baseline: f64,
    /// The median of the rounds' ratios, which need not be the ratio of the
    /// medians.
    pub(crate) ratio: f64,
    pub(crate) goal: Goal,
}

impl Measure {
    fn verdict(&self) -> &'static str {
        if self.goal.holds(self.ratio) { "holds" } else { "short" }
    }
}

/// How measures are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    Tabs,
    Json,
}

/// Prints measures as soon as they are taken.
pub(crate) struct Report {
    format: Format,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    unit: &'a str,
    ours: f64,
    baseline: f64,
    ratio: f64,
    goal: String,
    verdict: &'a str,
}

impl Report {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn print(&self, measure: &Measure) -> Result<()> {
        let Measure { name, unit, ours, baseline, ratio, goal } = measure;
        let (goal, verdict) = (goal.to_string(), measure.verdict());
        let line = match self.format {
            Format::Tabs => {
                format!(
                    "{name}\t{ours:.2} {unit}\t{baseline:.2} {unit}\t{ratio:.2}\t{goal}\t{verdict}"
                )
            }
            Format::Json => serde_json::to_string(&Line {
                name,
                unit,
                ours: *ours,
                baseline: *baseline,
                ratio: *ratio,
                goal,
                verdict,
            })?,
        };
        Ok(writeln!(std::io::stdout(), "{line}")?)
    }
}
