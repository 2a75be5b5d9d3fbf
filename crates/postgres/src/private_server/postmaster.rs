//! The server's process: starting it, seeing that it takes connections, and
//! ending it.
//!
//! Invariant: a signal goes only to our own child, which is not reaped before
//! we know that it ended.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::CommandExt;
use tokio::time::{Instant, sleep};

use super::directory::{Directory, doing, open_private, read};
use crate::{Error, Result, Tools};

const PROGRAM: &str = "postgres";
pub(super) const POLL: Duration = Duration::from_millis(5);
/// Recovery after a crash is part of starting.
const START: Duration = Duration::from_secs(120);
/// How long the remains of a killed server may keep its memory.
const REMAINS: Duration = Duration::from_secs(30);
const LOG_LINES: usize = 10;

/// What ends a postmaster, from polite to sure, and how long it may take.
pub(super) const WAYS: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(60)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(10)),
];

/// Why a postmaster did not start.
pub(super) enum Refusal {
    PortTaken(String),
    Other(String),
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

pub(super) struct Postmaster {
    child: Child,
}

impl Postmaster {
    /// Starts the server and waits until it takes connections. The remains of
    /// a killed one may keep its shared memory for a moment: then it is tried
    /// again.
    pub(super) async fn start(
        tools: &Tools,
        directory: &Directory,
        arguments: &[String],
    ) -> Result<Self, Refusal> {
        let until = Instant::now() + REMAINS;
        loop {
            let mut postmaster = Self { child: spawn(tools, directory, arguments)? };
            if postmaster.becomes_ready(&directory.data()).await? {
                return Ok(postmaster);
            }
            let log = last_lines(&directory.log());
            if log.contains("Address already in use") {
                return Err(Refusal::PortTaken(log));
            }
            if !log.contains("is still in use") || Instant::now() > until {
                return Err(Refusal::Other(log));
            }
            sleep(POLL * 10).await;
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the server cleanly, or surely when that takes too long.
    pub(super) async fn stop(&mut self) -> Result<()> {
        for (signal, limit) in WAYS {
            self.signal(signal);
            if self.ends_within(limit).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Kills the server's process; its sessions notice and end.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL);
        self.ends_within(WAYS[2].1).await.map(drop)
    }

    /// `false` when the process ended instead.
    async fn becomes_ready(&mut self, data: &Path) -> Result<bool> {
        let until = Instant::now() + START;
        while Instant::now() < until {
            if self.has_ended()? {
                return Ok(false);
            }
            if is_ready(data, self.pid())? {
                return Ok(true);
            }
            sleep(POLL).await;
        }
        let subject = data.display().to_string();
        Err(Error::Timeout { operation: "start PostgreSQL in", subject, after: START })
    }

    async fn ends_within(&mut self, limit: Duration) -> Result<bool> {
        let until = Instant::now() + limit;
        while !self.has_ended()? {
            if Instant::now() > until {
                return Ok(false);
            }
            sleep(POLL).await;
        }
        Ok(true)
    }

    fn has_ended(&mut self) -> Result<bool> {
        let failed = |source| Error::Process { operation: "wait for", program: PROGRAM, source };
        self.child.try_wait().map(|status| status.is_some()).map_err(failed)
    }

    /// To our child, which is not reaped before `try_wait` says that it ended.
    fn signal(&mut self, signal: Signal) {
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), pid(self.child.id())) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Postmaster {
    /// An immediate shutdown, which leaves neither processes nor memory.
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
        for _ in 0..400 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The eighth line of `postmaster.pid` says it, the first one whose it is.
fn is_ready(data: &Path, pid: u32) -> Result<bool> {
    let text = read(&data.join("postmaster.pid"))?.unwrap_or_default();
    let mut lines = text.lines();
    let is_ours = lines.next().is_some_and(|line| line.trim() == pid.to_string());
    Ok(is_ours && lines.nth(6).is_some_and(|status| status.trim() == "ready"))
}

/// In its own process group, so that Ctrl-C on our terminal leaves it to us.
#[expect(clippy::disallowed_methods, reason = "this is where PostgreSQL's tools are started")]
fn spawn(tools: &Tools, directory: &Directory, arguments: &[String]) -> Result<Child> {
    let log = start_log(&directory.log())?;
    let second = log.try_clone().map_err(doing("open", &directory.log()))?;
    let mut command = Command::new(tools.postgres()?);
    command.args(arguments).env("LC_ALL", "C").current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(log).stderr(second);
    if let Some(account) = &directory.account {
        command.uid(account.uid).gid(account.gid);
    }
    let failed = |source| Error::Process { operation: "start", program: PROGRAM, source };
    command.spawn().map_err(failed)
}

/// A new log; the one before is kept.
fn start_log(path: &Path) -> Result<File> {
    if path.exists() {
        fs::rename(path, path.with_extension("log.old")).map_err(doing("rename", path))?;
    }
    open_private(path)
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("; ")
}

pub(super) fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}
