//! How long an operation waits before its next attempt.

use std::time::Duration;

/// Doubles from `initial` to `max`. The jitter is added by the database.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Before the second attempt.
    pub initial: Duration,
    /// Never longer than this.
    pub max: Duration,
}

impl Backoff {
    /// The delay after attempt number `attempt`, which counts from 1.
    pub fn delay(&self, attempt: i32) -> Duration {
        let doublings = attempt.saturating_sub(1).clamp(0, 20).unsigned_abs();
        self.initial.saturating_mul(1 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit() {
        let backoff = Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(60) };
        let seconds: Vec<_> = (1..9).map(|n| backoff.delay(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.delay(i32::MAX).as_secs(), 60);
    }
}
