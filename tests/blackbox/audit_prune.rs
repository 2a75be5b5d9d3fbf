//! Pruning leaves a trail that can still be verified, wherever it is cut off.

use futures::future::join;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::Executor;
use yuantus_test_support::{Api, TestEnv};

use crate::{
    audit_chain::{count, verify, write},
    quiet::assert_quiet,
};

const KEPT: (&str, &str) = ("YUANTUS_AUDIT_RETENTION_MAX_ROWS", "5");

async fn ask(api: &Api, tenant: &str) -> reqwest::Result<Response> {
    let post = Client::new().post(format!("{}/api/v1/admin/audit/prune", api.url));
    post.json(&json!({"tenant_id": tenant})).send().await
}

async fn prune(api: &Api, tenant: &str) -> Value {
    let answer = ask(api, tenant).await.expect("answer").error_for_status().expect("prune");
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn pruning_keeps_what_is_to_be_kept_and_a_chain_that_verifies() {
    let env = TestEnv::start().await;
    let mut api = env.api_with(&[KEPT, ("YUANTUS_AUDIT_RETENTION_DAYS", "30")]).await;
    api.create_tenant("acme").await;
    let retention = format!("{}/api/v1/admin/audit/retention?tenant_id=acme", api.url);
    let read = async || -> Value {
        let answer = reqwest::get(&retention).await.expect("answer");
        answer.error_for_status().expect("retention").json().await.expect("JSON")
    };
    let before = json!({"tenant_id": "acme", "retention_days": 30, "retention_max_rows": 5,
        "prune_interval_seconds": 3600});
    assert_eq!(read().await, before);
    write(&api, "acme", 20).await;
    let (one, two) = join(prune(&api, "acme"), prune(&api, "acme")).await;
    let deleted = |pruned: &Value| -> i64 { pruned["deleted"].as_i64().expect("a number") };
    assert!(deleted(&one) + deleted(&two) >= 17, "{one} {two}");
    assert_eq!(one["retention_max_rows"], json!(5));
    assert!(read().await["last_prune_ts"].is_string());
    let kept = "SELECT count(*) FROM audit_logs WHERE tenant_id = 'acme'";
    let left = count(&mut env.identity().await, kept).await;
    assert!((5..=7).contains(&left), "{left} rows are kept");
    let found = verify(&api, "acme").await;
    assert_eq!((&found["ok"], &found["rows"]), (&json!(true), &json!(left.to_string())), "{found}");
    assert_ne!(found["first_seq"], json!("1"));

    // Without a checkpoint of the same transaction nobody deletes anything.
    for sql in [
        "DELETE FROM audit_logs",
        "DELETE FROM audit_logs WHERE tenant_id = 'acme'",
        "SELECT audit_prune('acme', 1000000)",
        "UPDATE audit_logs SET actor = 'eve'",
        "TRUNCATE audit_logs",
        "UPDATE audit_checkpoints SET seq = 1",
        "DELETE FROM audit_checkpoints",
    ] {
        let refused = env.identity().await.execute(sql).await.expect_err(sql).to_string();
        assert!(refused.contains("is append-only"), "{sql}: {refused}");
    }
    assert_eq!(verify(&api, "acme").await["ok"], json!(true));
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn rows_go_by_their_age_and_a_worker_prunes_by_itself() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    write(&api, "acme", 3).await;
    let old = "INSERT INTO audit_logs (tenant_id, actor, action, target, created_at)
        SELECT 'beta', 'x', 'y', 'z', now() - make_interval(days => 100 - n)
        FROM generate_series(1, 95) n";
    env.identity().await.execute(old).await.expect("old rows");
    let more =
        [("YUANTUS_AUDIT_RETENTION_DAYS", "30"), ("YUANTUS_AUDIT_PRUNE_INTERVAL_SECONDS", "1")];
    let mut worker = env.worker("w", &more);
    let sql = "SELECT count(*) FROM audit_logs WHERE tenant_id = 'beta'";
    let mut identity = env.identity().await;
    // 25 rows are younger than 30 days, and one tells of the prune.
    while count(&mut identity, sql).await > 26 {
        assert!(!worker.has_ended(), "{}", worker.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    worker.terminate().await;
    assert_quiet(&worker, &[]);
    let sql = "SELECT count(*) FROM audit_logs WHERE action = 'audit.prune'
        AND tenant_id = 'beta' AND actor = 'worker' AND (details->>'rows')::int = 70";
    assert_eq!(count(&mut identity, sql).await, 1);
    let sql = "SELECT count(*) FROM audit_logs WHERE tenant_id = 'acme'";
    assert_eq!(count(&mut identity, sql).await, 4, "nothing else went");
    api.create_tenant("beta").await;
    assert_eq!(verify(&api, "beta").await["ok"], json!(true));
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn a_prune_that_is_cut_off_anywhere_leaves_a_chain_that_verifies() {
    let env = TestEnv::start().await;
    let mut rows = 0;
    for point in ["after_checkpoint", "after_delete", "before_commit", "after_commit"] {
        let at = format!("prune_audit.{point}");
        let mut api = env.api_with(&[KEPT, ("YUANTUS_CRASH_AT", &at)]).await;
        if rows == 0 {
            api.create_tenant("acme").await;
            write(&api, "acme", 9).await;
            rows = 10;
        }
        ask(&api, "acme").await.expect_err("the process died");
        api.child.crashed().await;
        let mut api = env.api().await;
        let kept = "SELECT count(*) FROM audit_logs WHERE tenant_id = 'acme'";
        let left = count(&mut env.identity().await, kept).await;
        assert_eq!(left, if point == "after_commit" { 5 } else { rows }, "{point}");
        let found = verify(&api, "acme").await;
        assert_eq!(found["ok"], json!(true), "{point}: {found}");
        rows += 1;
        api.child.terminate().await;
    }
    let api = env.api_with(&[KEPT]).await;
    assert_eq!(ask(&api, "acme").await.expect("answer").status(), StatusCode::OK);
    assert_eq!(verify(&api, "acme").await["ok"], json!(true));
}
