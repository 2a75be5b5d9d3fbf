//! New certificates for a running server: on SIGHUP, and when the files change.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    signal::unix::{SignalKind, signal},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Tls;

/// What of a file changes when it is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen(Option<(SystemTime, u64)>);

impl Seen {
    fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).ok();
        Self(metadata.and_then(|found| Some((found.modified().ok()?, found.len()))))
    }
}

/// Reads the certificates again at every SIGHUP, and where one of the files is
/// another than it was `every` ago.
pub async fn run_reload(tls: Arc<Tls>, every: Duration, shutdown: CancellationToken) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            error!(error = &error as &dyn std::error::Error, "cannot listen for SIGHUP");
            return;
        }
    };
    let mut ticks = time::interval(every);
    let mut known = look(&tls);
    loop {
        let asked = tokio::select! {
            () = shutdown.cancelled() => return,
            _ = hangup.recv() => true,
            _ = ticks.tick() => false,
        };
        let seen = look(&tls);
        if !asked && seen == known {
            continue;
        }
        known = seen;
        match tls.reload() {
            Ok(()) => info!("new certificates are in use"),
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "the certificates cannot be used: the old ones stay in use"
            ),
        }
    }
}

fn look(tls: &Tls) -> Vec<Seen> {
    let settings = &tls.settings;
    let files = [&settings.certificate, &settings.key].into_iter().chain(&settings.client_ca);
    files.map(|path| Seen::of(path)).collect()
}
