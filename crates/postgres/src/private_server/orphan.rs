//! The server that a killed process left behind.
//!
//! Invariant: a signal goes only to a process whose working directory is our
//! data directory. A process id in a file may long be somebody else's.

use std::{fs, path::Path};

use rustix::process::{Pid, kill_process};
use tokio::time::{Instant, sleep};

use super::{
    directory::{Directory, doing, read},
    postmaster::{POLL, WAYS, pid},
};
use crate::Result;

/// Ends the server that a killed process left behind, and removes a stale
/// `postmaster.pid`.
pub(super) async fn end(directory: &Directory) -> Result<()> {
    let data = directory.data();
    let file = data.join("postmaster.pid");
    let Some(text) = read(&file)? else {
        return Ok(());
    };
    let number = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok());
    let Some(orphan) = number.and_then(pid).filter(|pid| lives_in(*pid, &data)) else {
        return fs::remove_file(&file).map_err(doing("remove", &file));
    };
    tracing::info!(pid = number, "ending the PostgreSQL that a killed process left behind");
    for (signal, limit) in WAYS {
        let _ = kill_process(orphan, signal);
        let until = Instant::now() + limit;
        while lives_in(orphan, &data) && Instant::now() < until {
            sleep(POLL).await;
        }
        if !lives_in(orphan, &data) {
            break;
        }
    }
    Ok(())
}

/// Whether a process runs in `data`, where every postmaster goes first.
#[cfg(target_os = "linux")]
fn lives_in(pid: Pid, data: &Path) -> bool {
    let link = format!("/proc/{}/cwd", pid.as_raw_nonzero());
    fs::read_link(link).is_ok_and(|directory| directory == data)
}

#[cfg(not(target_os = "linux"))]
fn lives_in(pid: Pid, _data: &Path) -> bool {
    rustix::process::test_kill_process(pid).is_ok()
}
