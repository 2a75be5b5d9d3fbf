//! `yuantus dev` as people run it: started, killed, found again, stopped.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
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

/// What appears in `.yuantus/postgres` one after another while the cluster is
/// made: a name's beginning, and a file within.
const MADE: &[(&str, &str)] = &[
    ("superuser.password", ""),
    ("initdb-", ""),
    ("initdb-", "pgdata/postgresql.conf"),
    ("initdb-", "pgdata/global/pg_control"),
    ("initdb-", "pgdata/base/1"),
    ("pgdata", ""),
    ("pgdata", "postmaster.pid"),
];

/// Whether a start has come as far as that or farther, not counting what was
/// there `before`.
fn has_made(postgres: &Path, before: &[OsString], name: &str, file: &str) -> bool {
    if name == "initdb-" && postgres.join("pgdata").exists() {
        return true;
    }
    let found = fs::read_dir(postgres).into_iter().flatten().filter_map(Result::ok);
    found.into_iter().any(|entry| {
        entry.file_name().to_string_lossy().starts_with(name)
            && (name != "initdb-" || !before.contains(&entry.file_name()))
            && (file.is_empty() || entry.path().join(file).exists())
    })
}

/// Starts `dev` and kills it as soon as it has come that far.
fn kill_at(home: &Path, name: &str, file: &str) {
    let postgres = home.join(".yuantus/postgres");
    let names = fs::read_dir(&postgres).into_iter().flatten().filter_map(Result::ok);
    let before: Vec<OsString> = names.map(|entry| entry.file_name()).collect();
    let mut process = command(home)
        .args(["dev", "--port", "0", "-o", "json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !has_made(&postgres, &before, name, file) {
        if process.try_wait().unwrap().is_some() {
            let output = process.wait_with_output().unwrap();
            panic!("{name} {file}: {}", String::from_utf8_lossy(&output.stderr));
        }
        thread::yield_now();
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

/// The `initdb` of a killed one goes on for a while: the next start meets it.
#[test]
fn a_dev_killed_while_it_makes_its_cluster_starts_again_every_time() {
    for round in 0..2 {
        let home = directory();
        let home = home.path();
        for (name, file) in MADE {
            kill_at(home, name, file);
            // At once, and once more where the one before is still at work.
            if round == 1 && *name == "initdb-" {
                kill_at(home, name, file);
            }
        }
        let dev = Dev::start(home, &["--no-login"]);
        dev.answer(home, &["tenant", "create", "t"], "");
        dev.terminate();
        let postgres = home.join(".yuantus/postgres");
        let left = fs::read_dir(postgres).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|n| n.to_string_lossy().starts_with("initdb-")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
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
