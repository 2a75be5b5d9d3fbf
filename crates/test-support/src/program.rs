//! Programs that run to their end: our own verbs, `restic`, `pg_restore`.

use std::{ffi::OsStr, process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt, process::Command};

/// What came of a program.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: String,
}

/// No program takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

impl Ran {
    /// Its standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("UTF-8 on stdout")
    }

    /// The same, once it is sure that the program succeeded.
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }
}

/// Runs a program with nothing but `variables` in its environment and `stdin`
/// on its standard input, and waits for its end.
#[expect(clippy::disallowed_methods, reason = "tests run programs as people do")]
pub async fn run(
    program: impl AsRef<OsStr>,
    arguments: &[&str],
    variables: impl IntoIterator<Item = (String, String)>,
    stdin: &[u8],
) -> Ran {
    let mut child = Command::new(program.as_ref())
        .args(arguments)
        .env_clear()
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.as_ref().display()));
    let mut input = child.stdin.take().expect("stdin");
    let write = async {
        // A program that wants none of it closes the pipe.
        let _ = input.write_all(stdin).await;
        drop(input);
    };
    let both = async { tokio::join!(write, child.wait_with_output()).1 };
    let output = tokio::time::timeout(PATIENCE, both).await;
    let output = output.expect("the program ends in time").expect("its output");
    Ran {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
