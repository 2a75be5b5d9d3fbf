//! The clock guard: the leader looks at the identity database's clock before
//! anything is deleted by its age.

use std::time::{Duration, Instant, SystemTime};

use yuantus_identity::{clock::HostTime, query::clock};
use yuantus_operations::StepError;

use crate::Deps;

/// How often a clock that is not believed is spoken of.
const REMIND: Duration = Duration::from_secs(600);

/// What the leader remembers: when it last said that the clock is doubted.
#[derive(Default)]
pub(super) struct Guard {
    said: Option<Instant>,
}

impl Guard {
    /// Looks at the clock and says when it is no longer, or again, believed.
    pub(super) async fn look(&mut self, deps: &Deps) -> Result<(), StepError> {
        let doubt = clock::look(&deps.db, host_time()).await?;
        match doubt {
            Some(doubt) if self.said.is_none_or(|at| at.elapsed() >= REMIND) => {
                self.said = Some(Instant::now());
                tracing::warn!(
                    doubt,
                    "the identity database's clock is not believed: nothing is \
                    deleted by its age until it is back, or `yuantus db confirm-clock` says that \
                    it is right"
                );
            }
            Some(_) => {}
            None => {
                if self.said.take().is_some() {
                    tracing::info!("the identity database's clock is believed again");
                }
                let mended = clock::mend_lifetimes(&deps.db).await?;
                if mended > 0 {
                    tracing::warn!(
                        count = mended,
                        "sessions or keys were made by a clock that \
                        was ahead; they end when they should have"
                    );
                }
            }
        }
        Ok(())
    }
}

/// What this host says of time.
#[expect(
    clippy::disallowed_methods,
    reason = "the host's clock is what the other is compared with"
)]
fn host_time() -> HostTime {
    let at = SystemTime::now().into();
    HostTime { at, boot_id: boot_id(), uptime: uptime() }
}

/// Names the last start of the host; where that cannot be known, the start of
/// this process.
fn boot_id() -> String {
    static OWN: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| uuid::Uuid::new_v4().to_string());
    let known = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    known.map_or_else(|_| OWN.clone(), |id| id.trim().to_owned())
}

/// Seconds since the host was started, suspended ones included.
fn uptime() -> f64 {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(clock);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
