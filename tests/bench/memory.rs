//! What the processes hold in memory while they have nothing to do.

use std::time::Duration;

use yuantus_test_support::Child;

use crate::{
    Result,
    pool::Product,
    report::{Goal, Measure},
    rounds::{Rounds, percentile},
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["memory_start", "memory_worker"];

/// What each may hold, in megabytes.
const LIMIT: f64 = 60.0;
const GOAL: Goal = Goal::AtMost(1.0);

/// Readings of one round, a second apart.
const READINGS: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let mut start = Rounds::new("memory_start", "MB", GOAL);
    let mut worker = Rounds::new("memory_worker", "MB", GOAL);
    for _ in 0..size.rounds.min(3) {
        let product = Product::start().await?;
        let (mut of_start, mut of_worker) = (Vec::new(), Vec::new());
        for _ in 0..READINGS {
            tokio::time::sleep(PAUSE).await;
            of_start.push(resident(&product.api.child)?);
            of_worker.push(resident(&product.worker)?);
        }
        start.add(percentile(of_start, 50), LIMIT);
        worker.add(percentile(of_worker, 50), LIMIT);
        product.stop().await?;
    }
    Ok(vec![start.measure(), worker.measure()])
}

/// Megabytes of memory that a process holds.
pub(crate) fn resident(process: &Child) -> Result<f64> {
    let path = format!("/proc/{}/status", process.id());
    let status = std::fs::read_to_string(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kibibytes: f64 = kibibytes.ok_or_else(|| format!("{path} has no VmRSS"))?.trim().parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}
