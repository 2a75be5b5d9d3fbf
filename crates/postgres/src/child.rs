//! Child processes that talk to a PostgreSQL server.
//!
//! Invariant: a child gets its password through its environment, never
//! through its arguments; it carries its lane's tag; and it is killed when the
//! future that waits for it is dropped.

use std::{collections::VecDeque, ffi::OsStr, path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};

use crate::{Error, Result};

/// As much as fits between two wake-ups of a child and us.
const PIPE_BYTES: usize = 1 << 20;
const LAST_LINES: usize = 8;
const LINE_BYTES: usize = 500;

/// A running child and the last lines of what it complains about.
pub(crate) struct Child {
    program: &'static str,
    database: String,
    child: tokio::process::Child,
    complaints: JoinHandle<String>,
}

impl Child {
    /// Starts `file` with pipes for what it reads and writes.
    #[expect(clippy::disallowed_methods, reason = "this is where PostgreSQL's tools are started")]
    pub(crate) fn start(
        program: &'static str,
        file: &Path,
        database: &str,
        arguments: &[impl AsRef<OsStr>],
        environment: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let failed = |source| Error::Process { operation: "start", program, source };
        let mut child = Command::new(file)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stderr = child.stderr.take();
        let complaints = tokio::spawn(last_lines(stderr));
        Ok(Self { program, database: database.to_owned(), child, complaints })
    }

    /// The child's output, once.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        let stdout = self.child.stdout.take()?;
        widen(&stdout);
        Some(stdout)
    }

    /// The child's input, once.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        let stdin = self.child.stdin.take()?;
        widen(&stdin);
        Some(stdin)
    }

    /// Waits for the child's end; anything but success is an error that says
    /// what the child said last.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let failed =
            |source| Error::Process { operation: "wait for", program: self.program, source };
        let status = self.child.wait().await.map_err(failed)?;
        let stderr = self.complaints.await.unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let (program, database) = (self.program, self.database);
        Err(Error::Child { program, database, status: status.to_string(), stderr })
    }
}

/// A wider pipe saves wake-ups; the kernel's limit may forbid it.
#[cfg(target_os = "linux")]
fn widen(pipe: &impl std::os::fd::AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
}

#[cfg(not(target_os = "linux"))]
fn widen(_pipe: &impl std::os::fd::AsFd) {
    let _ = PIPE_BYTES;
}

/// The first error the child complained of, and its last lines.
async fn last_lines(stderr: Option<ChildStderr>) -> String {
    let mut last = VecDeque::with_capacity(LAST_LINES);
    let Some(stderr) = stderr else {
        return String::new();
    };
    let mut first_error: Option<String> = None;
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES)]).into_owned();
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        if first_error.is_none() && line.contains("error:") {
            first_error = Some(line.clone());
        }
        last.push_back(line);
    }
    if let Some(error) = first_error.filter(|error| !last.contains(error)) {
        last.push_front(error);
    }
    Vec::from(last).join("; ")
}
