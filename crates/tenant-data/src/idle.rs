//! Closes what nobody needs.

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Connections;

impl Connections {
    /// Closes connections that were idle too long, until `stop`; then all.
    pub async fn run_idle(self, stop: CancellationToken) {
        let limit = self.0.limits.idle;
        loop {
            // Whatever becomes idle from now on ends later than this.
            let next = self.0.state().oldest().unwrap_or_else(Instant::now) + limit;
            tokio::select! {
                () = sleep_until(next) => {}
                () = stop.cancelled() => break,
            }
            let ended = Instant::now().checked_sub(limit);
            let idle = ended.map(|ended| self.0.state().take_older(ended));
            self.0.close_all(idle.unwrap_or_default());
        }
        self.close().await;
    }
}
