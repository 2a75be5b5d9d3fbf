//! Requests when it is time for them, all from one thread: threads that sleep
//! and wake for each of them would take the cores from who answers.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    Result,
    http::{Ask, Line},
    rounds::millis,
};

/// How many requests may be under way. One that is due while all are waits for
/// the first answer, and its time counts.
const CONNECTIONS: usize = 64;
/// How long to wait for any answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks at a steady pace.
pub(crate) struct Pace {
    every: Duration,
    free: Vec<Line>,
    /// With the time at which the request was due.
    asking: Vec<(Line, Instant)>,
}

impl Pace {
    pub(crate) fn open(ask: &Ask, per_second: f64) -> Result<Self> {
        let free = (0..CONNECTIONS).map(|_| Line::open(ask)).collect::<Result<_>>()?;
        let every = Duration::from_secs_f64(per_second.recip());
        Ok(Self { every, free, asking: Vec::new() })
    }

    /// Asks for so long; answers how many milliseconds each answer took.
    pub(crate) fn keep(mut self, time: Duration) -> Result<Vec<f64>> {
        let mut took = Vec::new();
        let mut due = Instant::now();
        let end = due + time;
        while due < end || !self.asking.is_empty() {
            while due < end.min(Instant::now())
                && let Some(mut line) = self.free.pop()
            {
                line.send()?;
                self.asking.push((line, due));
                due += self.every;
            }
            let until = if due < end && !self.free.is_empty() {
                due.saturating_duration_since(Instant::now())
            } else {
                PATIENCE
            };
            self.hear(until, &mut took)?;
        }
        Ok(took)
    }

    /// Waits until something is answered, at most so long.
    fn hear(&mut self, until: Duration, took: &mut Vec<f64>) -> Result<()> {
        let lines = self.asking.iter().map(|(line, _)| line);
        let mut fds: Vec<_> = lines.map(|line| PollFd::new(line, PollFlags::IN)).collect();
        let heard = poll(&mut fds, Some(&Timespec::try_from(until)?))?;
        if heard == 0 && until == PATIENCE {
            return Err("the server does not answer".into());
        }
        let heard: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (number, heard) in heard.into_iter().enumerate().rev() {
            if heard && self.asking[number].0.receive()? {
                let (line, due) = self.asking.swap_remove(number);
                took.push(millis(due.elapsed()));
                self.free.push(line);
            }
        }
        Ok(())
    }
}
