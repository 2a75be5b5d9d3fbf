//! Whether the identity database's clock is to be believed.
//!
//! Invariant: a time is vetted only where a second clock agrees with how much
//! of it has passed. While the host that looks has not been started again,
//! that is its count of seconds since its start, suspended ones included,
//! which nobody sets. Otherwise it is its clock, which may be the very one
//! that is in question: then only as much is believed as a machine is
//! usually off for.

use std::fmt;

use sea_orm::prelude::DateTimeUtc;

/// What two clocks may differ by, in seconds: they are read one after the
/// other, and one of them may be corrected in between.
const SLACK: f64 = 60.0;
/// And in proportion to the time that has passed: clocks are corrected by 0.05 %.
const DRIFT: f64 = 0.001;
/// For how many seconds a machine with the database on it may be off: a long
/// weekend.
const OFF: f64 = 4.0 * 86400.0;
/// For how many seconds nobody may have looked, where the database's machine
/// and the one that looks are two which agree.
const UNSEEN: f64 = 31.0 * 86400.0;

/// What the host says of time.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTime {
    /// Its clock.
    pub at: DateTimeUtc,
    /// Names its last start.
    pub boot_id: String,
    /// Seconds since then, suspended ones included.
    pub uptime: f64,
}

/// The newest look that found the clock right.
#[derive(Clone, Debug, PartialEq)]
pub struct Vetted {
    /// What the database's clock was.
    pub database: DateTimeUtc,
    /// What the host said then; nothing where a person has confirmed the clock.
    pub host: Option<HostTime>,
}

/// A look at the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// What the database's clock is.
    pub database: DateTimeUtc,
    /// What the host says, read before the database was asked.
    pub host: HostTime,
    /// How many seconds the answer took.
    pub took: f64,
    /// Whether the database is on the host that looks.
    pub same_machine: bool,
}

/// Why the clock is not believed.
#[derive(Clone, Debug, PartialEq)]
pub enum Doubt {
    /// It went on by `passed` seconds while `expected` have passed.
    Jumped {
        /// What the database's clock says has passed since the last look.
        passed: f64,
        /// What has passed as the host counts, or as its clock says.
        expected: f64,
        /// Whether it was counted, and not read from the host's clock.
        counted: bool,
    },
    /// Both clocks say that `passed` seconds have, and no more than `limit` are
    /// believed without a count.
    Unseen {
        /// Seconds since the last look.
        passed: f64,
        /// What would have been believed.
        limit: f64,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jumped { passed, expected, counted } => {
                let clock = if *counted {
                    "the worker's host counted"
                } else {
                    "the clock of the \
                    worker's host went on by"
                };
                write!(
                    f,
                    "the identity database's clock went on by {passed:.0} s since it was \
                    last seen to be right, {clock} {expected:.0} s"
                )
            }
            Self::Unseen { passed, limit } => write!(
                f,
                "nobody has looked at the identity database's clock for {passed:.0} s; after a \
                 restart of the host not more than {limit:.0} s are believed"
            ),
        }
    }
}

/// Whether the clock is right, given when it last was.
pub fn judge(vetted: &Vetted, look: &Look) -> Result<(), Doubt> {
    let Some(host) = &vetted.host else { return Ok(()) };
    let passed = seconds(vetted.database, look.database);
    let counted = host.boot_id == look.host.boot_id;
    let expected = match counted {
        true => look.host.uptime - host.uptime,
        false => seconds(host.at, look.host.at),
    };
    let slack = SLACK + expected.abs() * DRIFT;
    if passed < expected - slack || passed > expected + look.took + slack {
        return Err(Doubt::Jumped { passed, expected, counted });
    }
    if counted {
        return Ok(());
    }
    let limit = if look.same_machine { OFF } else { UNSEEN };
    if passed < -slack || passed > limit {
        return Err(Doubt::Unseen { passed, limit });
    }
    Ok(())
}

fn seconds(from: DateTimeUtc, to: DateTimeUtc) -> f64 {
    (to - from).as_seconds_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86400.0;

    fn at(seconds: f64) -> DateTimeUtc {
        let nanos = (seconds * 1e9) as i64;
        DateTimeUtc::from_timestamp_nanos(1_760_000_000_000_000_000 + nanos)
    }

    fn host(boot: &str, clock: f64, uptime: f64) -> HostTime {
        HostTime { at: at(clock), boot_id: boot.into(), uptime }
    }

    fn vetted() -> Vetted {
        Vetted { database: at(0.0), host: Some(host("a", 0.0, 1000.0)) }
    }

    fn look(database: f64, host: HostTime) -> Look {
        Look { database: at(database), host, took: 0.01, same_machine: false }
    }

    #[test]
    fn a_jump_in_either_direction_is_doubted_until_the_clock_is_back() {
        for jump in [8.0 * DAY, 3600.0, 120.0, -120.0, -8.0 * DAY] {
            let doubt = judge(&vetted(), &look(30.0 + jump, host("a", 30.0, 1030.0)));
            assert!(matches!(doubt, Err(Doubt::Jumped { counted: true, .. })), "{jump}: {doubt:?}");
        }
        assert_eq!(judge(&vetted(), &look(90.0, host("a", 90.0, 1090.0))), Ok(()));
    }

    #[test]
    fn a_clock_that_takes_the_host_s_along_is_doubted_too() {
        let both = look(8.0 * DAY, host("a", 8.0 * DAY, 1033.0));
        assert!(judge(&vetted(), &both).is_err());
    }

    #[test]
    fn a_machine_that_slept_or_a_worker_that_was_stopped_for_weeks_needs_nobody() {
        for days in [2.0, 60.0] {
            let passed = days * DAY;
            let slept = look(passed, host("a", passed, 1000.0 + passed));
            assert_eq!(judge(&vetted(), &Look { same_machine: true, ..slept }), Ok(()));
        }
    }

    #[test]
    fn clocks_are_corrected_a_little_and_answers_may_take_long() {
        let corrected = look(10.0 * DAY + 300.0, host("a", 0.0, 1000.0 + 10.0 * DAY));
        assert_eq!(judge(&vetted(), &corrected), Ok(()));
        let late = Look { took: 400.0, ..look(430.0, host("a", 30.0, 1030.0)) };
        assert_eq!(judge(&vetted(), &late), Ok(()));
    }

    #[test]
    fn after_a_restart_two_machines_that_agree_are_believed_for_a_month() {
        assert_eq!(judge(&vetted(), &look(9.0 * DAY, host("b", 9.0 * DAY, 5.0))), Ok(()));
        let long = judge(&vetted(), &look(40.0 * DAY, host("b", 40.0 * DAY, 5.0)));
        assert!(matches!(long, Err(Doubt::Unseen { .. })), "{long:?}");
        let apart = judge(&vetted(), &look(8.0 * DAY, host("b", 30.0, 5.0)));
        assert!(matches!(apart, Err(Doubt::Jumped { counted: false, .. })), "{apart:?}");
    }

    #[test]
    fn after_a_restart_one_machine_is_believed_for_a_long_weekend() {
        let off = |days: f64| {
            let look = look(days * DAY, host("b", days * DAY, 5.0));
            judge(&vetted(), &Look { same_machine: true, ..look })
        };
        assert_eq!(off(3.0), Ok(()));
        assert!(off(8.0).is_err());
        assert!(off(-1.0).is_err(), "its battery is empty");
    }

    #[test]
    fn what_a_person_confirmed_is_believed() {
        let confirmed = Vetted { host: None, ..vetted() };
        assert_eq!(judge(&confirmed, &look(8.0 * DAY, host("a", 30.0, 1030.0))), Ok(()));
    }
}
