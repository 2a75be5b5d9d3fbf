//! A role that owns nothing can serve the API, and cannot touch what was
//! written.

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use yuantus_test_support::TestEnv;

use crate::{
    audit_chain::{verify, write},
    quiet::assert_quiet,
};

#[tokio::test]
async fn a_role_without_ownership_serves_the_api_and_cannot_touch_the_trail() {
    let env = TestEnv::start().await;
    let create = "CREATE ROLE clerk LOGIN PASSWORD 'clerk'";
    env.identity().await.execute(create).await.expect("role");
    let mut granted = env.spawn("grant", &["db", "grant", "clerk"], &[]);
    assert!(granted.ended().await.success(), "{}", granted.log());
    let mut url = env.database_url("yuantus_identity");
    url.set_username("clerk").expect("user");
    url.set_password(Some("clerk")).expect("password");
    let more = [
        ("YUANTUS_IDENTITY_DATABASE_URL", url.as_str()),
        ("YUANTUS_AUDIT_RETENTION_MAX_ROWS", "5"),
    ];
    let mut api = env.api_with(&more).await;
    let mut worker = env.worker("w", &more);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    write(&api, "acme", 10).await;
    let post = reqwest::Client::new().post(format!("{}/api/v1/admin/audit/prune", api.url));
    let pruned = post.json(&json!({"tenant_id": "acme"})).send().await.expect("answer");
    assert!(pruned.status().is_success(), "{}", pruned.text().await.expect("body"));
    assert_eq!(verify(&api, "acme").await["ok"], json!(true));
    let mut clerk = PgConnection::connect(url.as_str()).await.expect("connection");
    for sql in [
        "UPDATE audit_logs SET actor = 'x'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "UPDATE audit_heads SET seq = 1",
        "INSERT INTO audit_heads VALUES ('x', 1, '', '')",
        "DELETE FROM audit_checkpoints",
        "ALTER TABLE audit_logs DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "SELECT audit_prune('acme', 1000)",
    ] {
        let refused = clerk.execute(sql).await.expect_err(sql).to_string();
        let told = ["permission denied", "must be owner", "append-only"];
        assert!(told.iter().any(|told| refused.contains(told)), "{sql}: {refused}");
    }
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &[]);
}
