//! The binary as a child process.

use std::{
    fs::File,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// A running `yuantus`. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    log: PathBuf,
}

/// No child takes longer to do what a test waits for.
const PATIENCE: Duration = Duration::from_secs(120);

impl Child {
    /// Starts the binary with nothing but `variables` in its environment. What
    /// it prints goes to `log`.
    #[expect(clippy::disallowed_methods, reason = "tests run the real binary")]
    pub fn start(
        binary: &Path,
        arguments: &[&str],
        variables: impl IntoIterator<Item = (String, String)>,
        log: &Path,
    ) -> Self {
        let output = File::create(log).expect("log file");
        let process = Command::new(binary)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("log file"))
            .stderr(output)
            .spawn()
            .expect("the yuantus binary; `cargo build --workspace` makes it");
        Self { process, log: log.into() }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).expect("signal");
    }

    /// Stops it in its tracks, as if its machine hung.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// SIGTERM, and waits for it to end in its own way.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("wait").is_some()
    }

    /// Waits for it to end.
    pub async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("wait") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "still running; its log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it was killed by SIGKILL, as a crash point does.
    pub async fn crashed(&mut self) {
        let status = self.ended().await;
        assert_eq!(status.signal(), Some(9), "{status}; its log:\n{}", self.log());
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} ---\n{}", self.log.display(), notable(&self.log()));
        }
    }
}

/// How many lines of a log's end are shown with a failure.
const SHOWN: usize = 15;

/// The lines that are no news of everyday work, and the last ones: a whole log
/// would push the failure itself out of sight.
fn notable(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines.len().saturating_sub(SHOWN);
    let everyday = |line: &str| line.contains(r#""level":"INFO""#) || line.contains("DEBUG");
    let shown = lines.iter().enumerate().filter(|(n, line)| *n >= tail || !everyday(line));
    shown.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
}
