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

#[tokio::test]
async fn a_grant_to_a_role_that_would_be_locked_out_is_refused() {
    let env = TestEnv::start().await;
    let mut identity = env.identity().await;
    let roles = "CREATE ROLE landlord LOGIN PASSWORD 'landlord'; CREATE ROLE heir IN ROLE landlord;
        CREATE ROLE clerk; CREATE ROLE root SUPERUSER;
        ALTER DATABASE yuantus_identity OWNER TO landlord;";
    identity.execute(roles).await.expect("roles");
    let rights = "SELECT string_agg(relname || ' ' || coalesce(relacl::text, ''), chr(10)
        ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let read = async |identity: &mut PgConnection| -> String {
        sqlx::query_scalar(rights).fetch_one(identity).await.expect("rights")
    };
    let before = read(&mut identity).await;
    let mut url = env.database_url("yuantus_identity");
    for (role, expected) in [
        ("landlord", "role `landlord` owns the identity database"),
        ("heir", "role `heir` owns the identity database, or may act as the role that does"),
        ("root", "role `root` is a superuser"),
        ("postgres", "role `postgres` is the role of identity.database_url itself"),
        ("nobody", "role `nobody` is not there"),
        ("public", "role `public` is not there"),
    ] {
        let mut refused = env.spawn("grant", &["db", "grant", role], &[]);
        assert_eq!(refused.ended().await.code(), Some(1), "{role}: {}", refused.log());
        assert!(refused.log().contains(expected), "{role}: {}", refused.log());
    }
    assert_eq!(read(&mut identity).await, before);
    // An owner of tables alone, asked by the owner of the database.
    let given = "GRANT clerk TO landlord; ALTER TABLE operations OWNER TO clerk;
        GRANT SELECT ON seaql_migrations, key_canaries TO landlord";
    identity.execute(given).await.expect("owner");
    let before = read(&mut identity).await;
    url.set_username("landlord").expect("user");
    url.set_password(Some("landlord")).expect("password");
    let more = [("YUANTUS_IDENTITY_DATABASE_URL", url.as_str())];
    for (role, expected) in [("landlord", "itself"), ("clerk", "owns tables of the identity")] {
        let mut refused = env.spawn("grant", &["db", "grant", role], &more);
        assert_eq!(refused.ended().await.code(), Some(1), "{role}: {}", refused.log());
        assert!(refused.log().contains(expected), "{role}: {}", refused.log());
    }
    assert_eq!(read(&mut identity).await, before);
}
