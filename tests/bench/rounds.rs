//! Rounds of samples, and what they come to.

use std::time::Duration;

use crate::report::{Goal, Measure};

/// What was measured, round by round.
#[derive(Debug)]
pub(crate) struct Rounds {
    name: &'static str,
    unit: &'static str,
    goal: Goal,
    ours: Vec<f64>,
    baseline: Vec<f64>,
}

impl Rounds {
    pub(crate) fn new(name: &'static str, unit: &'static str, goal: Goal) -> Self {
        Self { name, unit, goal, ours: Vec::new(), baseline: Vec::new() }
    }

    /// Adds a round.
    pub(crate) fn add(&mut self, ours: f64, baseline: f64) {
        let Self { name, unit, goal, .. } = self;
        let round = self.ours.len() + 1;
        let ratio = goal.ratio(ours, baseline);
        eprintln!("{name} round {round}: {ours:.2} {unit} : {baseline:.2} {unit} = {ratio:.2}");
        self.ours.push(ours);
        self.baseline.push(baseline);
    }

    /// The medians of all rounds.
    pub(crate) fn measure(&self) -> Measure {
        let both = self.ours.iter().zip(&self.baseline);
        let ratios = both.map(|(ours, baseline)| self.goal.ratio(*ours, *baseline));
        Measure {
            name: self.name,
            unit: self.unit,
            ours: percentile(self.ours.clone(), 50),
            baseline: percentile(self.baseline.clone(), 50),
            ratio: percentile(ratios.collect(), 50),
            goal: self.goal,
        }
    }
}

/// The smallest of `samples` that `percent` percent of them do not exceed;
/// NaN, which holds no goal, if there are none.
pub(crate) fn percentile(mut samples: Vec<f64>, percent: usize) -> f64 {
    samples.sort_by(f64::total_cmp);
    let rank = (samples.len() * percent).div_ceil(100).max(1);
    samples.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// In milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
