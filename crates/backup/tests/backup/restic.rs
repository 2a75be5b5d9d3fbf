//! The stock `restic` reads our repositories without us.

use std::process::{Output, Stdio};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Bench, DUMP, dump_like};

const MIB: usize = 1024 * 1024;

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "the stock restic is a program")]
    async fn restic(&self, arguments: &[&str], password: &str) -> Output {
        let cache = TempDir::new().unwrap();
        let settings = self.server.client_settings();
        let run = Command::new("restic")
            .args(arguments)
            .env("RESTIC_REPOSITORY", self.repository.restic_location())
            .env("RESTIC_PASSWORD", password)
            .env("RESTIC_CACHE_DIR", cache.path())
            .env("AWS_ACCESS_KEY_ID", &settings.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", settings.secret_access_key.expose_secret())
            .env("AWS_DEFAULT_REGION", &settings.region)
            .stdin(Stdio::null())
            .output();
        run.await.expect("these tests need `restic` on PATH (Debian package `restic`)")
    }

    async fn restic_succeeds(&self, arguments: &[&str]) -> Vec<u8> {
        let password = self.repository.password().expose_secret();
        let output = self.restic(arguments, password).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "restic {arguments:?}: {errors}");
        output.stdout
    }
}

#[tokio::test]
async fn restic_lists_checks_and_dumps_what_we_stored() {
    let bench = Bench::start().await;
    let dump = dump_like(20 * MIB, 12);
    let manifest = bench.back_up(dump.clone()).await;
    let second = bench.back_up(b"PGDMP".to_vec()).await;

    let listed = bench.restic_succeeds(&["snapshots", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0]["id"], manifest.snapshot_id.as_str());
    assert_eq!(listed[0]["hostname"], "acme/hq");
    assert_eq!(listed[0]["paths"], serde_json::json!(["/manifest.json", format!("/{DUMP}")]));

    bench.restic_succeeds(&["check", "--read-data"]).await;
    let dumped = ["dump", &manifest.snapshot_id, &manifest.dump_path];
    assert!(bench.restic_succeeds(&dumped).await == dump);
    let document = bench.restic_succeeds(&["dump", &second.snapshot_id, "/manifest.json"]).await;
    let document: yuantus_backup::Manifest = serde_json::from_slice(&document).unwrap();
    assert_eq!(
        yuantus_backup::Manifest { snapshot_id: second.snapshot_id, ..document }.facts,
        second.facts
    );
}

#[tokio::test]
async fn restic_restores_a_snapshot_and_finds_the_sizes_right() {
    let bench = Bench::start().await;
    let dump = dump_like(3 * MIB, 13);
    let manifest = bench.back_up(dump.clone()).await;
    let target = TempDir::new().unwrap();
    let path = target.path().to_str().unwrap();
    bench.restic_succeeds(&["restore", &manifest.snapshot_id, "--verify", "--target", path]).await;
    assert!(std::fs::read(target.path().join(DUMP)).unwrap() == dump);
}

#[tokio::test]
async fn restic_with_a_wrong_password_is_refused() {
    let bench = Bench::start().await;
    let output = bench.restic(&["snapshots"], "not-the-password").await;
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("wrong password"), "{errors}");
}
