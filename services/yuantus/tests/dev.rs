//! `yuantus dev` as people run it: started, killed, found again, stopped.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A directory that PostgreSQL's user can reach, as it must when we are root.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[expect(clippy::disallowed_methods, reason = "tests run the real binary")]
fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yuantus"));
    command.current_dir(home).env("HOME", home).env_remove("XDG_CONFIG_HOME");
    command
}

/// A running `dev`, and what it said when it was ready.
struct Dev {
    process: Child,
    ready: Value,
}

impl Dev {
    fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut process = command(home)
            .args(["dev", "--port", "0", "-o", "json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, ready: serde_json::from_str(&line).expect(&line) }
    }

    fn run(&self, home: &Path, arguments: &[&str], input: &str) -> Output {
        let mut child = command(home)
            .args(arguments)
            .env("YUANTUS_SERVER", self.ready["api"].as_str().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What a command that must succeed answers.
    fn answer(&self, home: &Path, arguments: &[&str], input: &str) -> String {
        let output = self.run(home, arguments, input);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn login(&self, home: &Path, password: &str) {
        self.answer(home, &["login", "--username", "admin", "--password-stdin"], password);
    }

    fn terminate(mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_killed_dev_is_found_again_and_a_stopped_one_leaves_nothing_running() {
    let home = directory();
    let home = home.path();
    let first = Dev::start(home, &[]);
    let password = first.ready["admin_password"].as_str().unwrap().to_owned();
    first.login(home, &password);
    first.answer(home, &["tenant", "create", "tenant-1"], "");
    let made = first.answer(home, &["org", "create", "tenant-1/org-1", "--wait", "-o", "name"], "");
    assert_eq!(made, "tenant-1/org-1\n");
    let second = command(home).args(["dev", "--port", "0"]).output().unwrap();
    let refusal = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(refusal.contains("another `yuantus dev` is running there"), "{refusal}");
    first.kill();

    let again = Dev::start(home, &[]);
    assert_eq!(again.ready["admin_password"], Value::Null);
    again.login(home, &password);
    let org = again.answer(home, &["org", "get", "tenant-1/org-1", "-o", "json"], "");
    assert_eq!(serde_json::from_str::<Value>(&org).unwrap()["status"], "ACTIVE");
    let sql = ["org", "connect", "tenant-1/org-1", "--", "-Atc", "SELECT count(*) FROM customers"];
    assert_eq!(again.answer(home, &sql, ""), "0\n");
    again.terminate();
    assert!(!home.join(".yuantus/postgres/pgdata/postmaster.pid").exists());
}

#[test]
fn a_bundle_of_ones_own_is_applied_and_a_bad_one_refused_before_anything_is_made() {
    let home = directory();
    let home = home.path();
    fs::create_dir(home.join("bundle")).unwrap();
    fs::write(home.join("bundle/V1__shop.sql"), "CREATE TABLE shop (id int);\n\nSELECT 'x;")
        .unwrap();
    let refused = command(home).args(["dev", "--bundle", "bundle"]).output().unwrap();
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(error.contains("V1__shop.sql:3: begins a string that does not end"), "{error}");
    assert!(!home.join(".yuantus").exists());

    fs::write(home.join("bundle/V1__shop.sql"), "CREATE TABLE shop (id int);").unwrap();
    let dev = Dev::start(home, &["--bundle", "bundle", "--no-login"]);
    dev.answer(home, &["tenant", "create", "t"], "");
    dev.answer(home, &["org", "create", "t/o", "--wait"], "");
    let sql = ["org", "connect", "t/o", "--", "-Atc", "SELECT count(*) FROM shop"];
    assert_eq!(dev.answer(home, &sql, ""), "0\n");
    let failed = dev.run(home, &["org", "get", "t/none"], "");
    assert_eq!(failed.status.code(), Some(1));
    dev.terminate();
}
