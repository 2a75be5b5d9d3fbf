//! `yuantus dev`, killed in the middle of its work and stopped: what it had
//! made is found again, and nothing is left running.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use yuantus_test_support::{Child, Ran, binary, path, published_bundle, run};

/// A home directory that PostgreSQL's user can pass through.
fn home() -> TempDir {
    let home = tempfile::Builder::new().prefix("yuantus-dev-").tempdir().expect("directory");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    home
}

fn variables(home: &Path) -> Vec<(String, String)> {
    let home = home.to_string_lossy().into_owned();
    vec![("HOME".to_owned(), home), ("PATH".to_owned(), path())]
}

/// A running `dev`, and what it said when it was ready.
struct Dev {
    child: Child,
    ready: Value,
    home: PathBuf,
}

impl Dev {
    async fn start(home: &Path, more: &[&str]) -> Self {
        let data = home.join("data").to_string_lossy().into_owned();
        let arguments = ["dev", "--data-dir", &data, "--port", "0", "-o", "json"];
        let arguments = [&arguments[..], more].concat();
        let log = home.join("dev.log");
        let mut child = Child::start(&binary(), &arguments, variables(home), &log);
        let begun = Instant::now();
        let ready = loop {
            let log = child.log();
            let ready = log.lines().find_map(|line| serde_json::from_str(line).ok());
            if let Some(ready) = ready {
                break ready;
            }
            assert!(!child.has_ended(), "it ended: {log}");
            assert!(begun.elapsed() < Duration::from_secs(60), "it is not ready: {log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Self { child, ready, home: home.into() }
    }

    async fn say(&self, line: &str, input: &str) -> Ran {
        let server = self.ready["api"].as_str().expect("URL");
        let line = format!("--server {server} {line}");
        let arguments: Vec<&str> = line.split(' ').collect();
        run(binary(), &arguments, variables(&self.home), input.as_bytes()).await
    }

    async fn answer(&self, line: &str) -> String {
        self.say(line, "").await.succeeded().text().trim_end().to_owned()
    }

    /// What a statement answers in an org's database, as the org's role.
    async fn query(&self, org: &str, sql: &str) -> String {
        let server = self.ready["api"].as_str().expect("URL");
        let arguments = ["--server", server, "org", "connect", org, "--", "-Atc", sql];
        let ran = run(binary(), &arguments, variables(&self.home), b"").await.succeeded();
        ran.text().trim_end().to_owned()
    }

    async fn login(&self, password: &str) {
        self.say("login --username admin --password-stdin", password).await.succeeded();
    }
}

/// Processes that have `path` on their command line, or work in it.
fn processes_of(path: &Path) -> Vec<String> {
    let text = path.to_string_lossy();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let works_there =
            fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(path));
        if works_there || line.contains(&*text) {
            found.push(format!("{} {line}", process.file_name().display()));
        }
    }
    found
}

#[tokio::test]
async fn a_dev_killed_at_work_goes_on_and_a_stopped_one_leaves_nothing_running() {
    let home = home();
    let data = home.path().join("data");
    let mut first = Dev::start(home.path(), &[]).await;
    let password = first.ready["admin_password"].as_str().expect("password").to_owned();
    let mode = |path: &Path| fs::metadata(path).expect("file").permissions().mode() & 0o777;
    assert_eq!(mode(&data.join("secrets.toml")), 0o600);
    assert_eq!(mode(&data) & 0o066, 0, "nobody lists or writes the data directory");
    // It is forgotten once it was shown.
    let kept = || fs::read_to_string(data.join("secrets.toml")).expect("secrets");
    let begun = Instant::now();
    while kept().contains(&password) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the password is kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    first.login(&password).await;
    first.answer("tenant create acme").await;
    first.answer("org create acme/hq --wait").await;
    let insert = "INSERT INTO customers (name, email)
        SELECT n, n || '@example.com' FROM generate_series(1, 50000) n";
    first.query("acme/hq", insert).await;

    let refused = {
        let text = data.to_string_lossy().into_owned();
        let arguments = ["dev", "--data-dir", &text, "--port", "0"];
        run(binary(), &arguments, variables(home.path()), b"").await
    };
    assert_eq!(refused.code, Some(1));
    let said = "another `yuantus dev` is running there";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    let backup = first.answer("backup create acme/hq -o name").await;
    let waiting = first.answer("org create acme/branch -o name").await;
    first.child.kill();

    let mut second = Dev::start(home.path(), &[]).await;
    assert_eq!(second.ready["admin_password"], Value::Null, "the password is shown once");
    second.login(&password).await;
    second.answer(&format!("op wait {backup}")).await;
    second.answer(&format!("op wait {waiting}")).await;
    second.answer("backup restore acme/hq latest --wait").await;
    assert_eq!(second.query("acme/hq", "SELECT count(*) FROM customers").await, "50000");
    assert!(!processes_of(&data).is_empty());
    assert!(second.child.terminate().await.success());
    assert_eq!(processes_of(&data), Vec::<String>::new());
    assert!(!second.child.log().contains(&password), "{}", second.child.log());
}

#[tokio::test]
async fn a_dev_that_cannot_listen_starts_nothing() {
    let home = home();
    let data = home.path().join("data");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("port");
    let port = taken.local_addr().expect("address").port().to_string();
    let text = data.to_string_lossy().into_owned();
    let arguments = ["dev", "--data-dir", &text, "--port", &port];
    let refused = run(binary(), &arguments, variables(home.path()), b"").await;
    assert_eq!(refused.code, Some(1));
    let said = format!("listen on 127.0.0.1:{port} (--port takes another)");
    assert!(refused.stderr.contains(&said), "{}", refused.stderr);
    assert_eq!(processes_of(&data), Vec::<String>::new());
}

#[tokio::test]
async fn a_dev_runs_the_bundle_of_a_published_package() {
    let home = home();
    let bundle = published_bundle("apalis-postgres");
    let mut dev = Dev::start(home.path(), &["--bundle", &bundle, "--no-login"]).await;
    dev.answer("tenant create acme").await;
    dev.answer("org create acme/hq --wait").await;
    let insert =
        "INSERT INTO apalis.workers (id, worker_type, storage_name) VALUES ('w', 'a', 'b')";
    dev.query("acme/hq", insert).await;
    dev.answer("backup create acme/hq --wait").await;
    dev.query("acme/hq", "DELETE FROM apalis.workers").await;
    dev.answer("backup restore acme/hq latest --wait").await;
    assert_eq!(dev.query("acme/hq", "SELECT id FROM apalis.workers").await, "w");
    assert!(dev.child.terminate().await.success());
    assert_eq!(processes_of(&home.path().join("data")), Vec::<String>::new());
}
