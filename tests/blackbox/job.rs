//! Jobs, as clients of runbook 004's system start and follow them.

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    authentication::{UUID, finish, locked},
    people::{PASSWORD, Person, fields, tenant_with_ann},
    quiet::assert_quiet,
    settle::settle,
    tidy::assert_tidy,
};

const JOBS: &str = "/api/v1/jobs";

/// The same person, within an org.
async fn within<'a>(api: &'a yuantus_test_support::Api, who: &Person<'_>, org: &str) -> Person<'a> {
    let answer = who.post("/api/v1/auth/switch-org", json!({"org_id": org})).await;
    Person::with(api, answer["access_token"].as_str().expect("token"))
}

fn one(job: &Value) -> String {
    format!("{JOBS}/{}", job["id"].as_str().expect("id"))
}

#[tokio::test]
async fn jobs_are_the_operations_of_the_org_in_context() {
    let env = locked().await;
    let mut api = env.api().await;
    let root = Person::root(&api).await;
    let mut worker = env.worker("w", &[]);
    for tenant in ["acme", "beta"] {
        tenant_with_ann(&api, &root, tenant).await;
        for org in ["eu", "hq"] {
            finish(&api, &root.token, "CreateOrg", json!({"tenant_id": tenant, "id": org})).await;
        }
    }
    let ann = Person::user(&api, "acme", "ann").await;
    let (hq, eu) = (within(&api, &ann, "hq").await, within(&api, &ann, "eu").await);
    // Nobody works on them for now.
    worker.terminate().await;

    let backup = json!({"task_type": "create_backup", "payload": {}, "dedupe": true});
    let first = hq.post(JOBS, backup.clone()).await;
    assert_eq!(
        (&first["status"], &first["task_type"]),
        (&json!("pending"), &json!("create_backup"))
    );
    assert_eq!((&first["tenant_id"], &first["org_id"]), (&json!("acme"), &json!("hq")));
    assert_eq!(hq.post(JOBS, backup.clone()).await, first, "it has not ended");
    let plain = json!({"taskType": "create_backup"});
    let second = hq.post(JOBS, plain).await;
    assert_ne!(second["id"], first["id"], "another was asked for");
    assert_ne!(eu.post(JOBS, backup.clone()).await["id"], first["id"], "of another org");
    let migrate = json!({"task_type": "apply_migrations", "dedupe": true});
    let same = join_all((0..20).map(|_| hq.post(JOBS, migrate.clone()))).await;
    assert!(same.iter().all(|job| job["id"] == same[0]["id"]), "one job: {same:?}");
    let repeated = json!({"task_type": "apply_migrations", "request_id": "k-1"});
    let again = [hq.post(JOBS, repeated.clone()).await, hq.post(JOBS, repeated).await];
    assert_eq!(again[0], again[1]);
    let pending = hq.get(&format!("{JOBS}?status=pending&page_size=2")).await;
    assert_eq!(fields(&pending, "id"), [&again[0]["id"], &same[0]["id"]]);
    let next = pending["next_page_token"].as_str().expect("token");
    let rest = hq.get(&format!("{JOBS}?status=pending&page_size=2&page_token={next}")).await;
    assert_eq!(fields(&rest, "id"), [&second["id"], &first["id"]]);

    let mut worker = env.worker("w", &[]);
    settle(&env).await;
    let done = hq.get(&one(&first)).await;
    assert_eq!((&done["status"], &done["last_error"]), (&json!("completed"), &Value::Null));
    assert!(done["started_at"].is_string() && done["completed_at"].is_string(), "{done}");
    let backup_id = done["target"].as_str().and_then(|target| target.rsplit('/').next());
    let verify = json!({"task_type": "verify_backup", "payload": {"backup_id": backup_id},
        "dedupe": true});
    let verify = hq.post(JOBS, verify).await;
    assert_eq!(verify["target"], done["target"]);
    assert_ne!(hq.post(JOBS, backup.clone()).await["id"], first["id"], "that one has ended");
    settle(&env).await;
    assert_eq!(hq.get(&one(&verify)).await["status"], "completed");
    let made = hq.get(&format!("{JOBS}?task_type=create_org")).await;
    assert_eq!(fields(&made, "status"), ["completed"]);

    // What is wrong is said, and who may not sees nothing.
    for (body, field) in [
        (json!({"task_type": "restore_backup"}), "task_type"),
        (json!({"task_type": "sell"}), "task_type"),
        (json!({"task_type": "verify_backup"}), "payload.backup_id"),
        (
            json!({"task_type": "verify_backup", "payload": {"backup_id": "../x"}}),
            "payload.backup_id",
        ),
    ] {
        let answer = hq.send(Method::POST, JOBS, &body).await;
        let refused = crate::problem::problem(answer, 400).await;
        assert_eq!(refused["field"], field, "{body}");
    }
    let odd = json!({"task_type": "create_backup", "payload": {"everything": true}});
    let (_, detail) = hq.refused(Method::POST, JOBS, odd, 400).await;
    assert!(detail.contains("everything"), "{detail}");
    for (query, field) in [("status=RUNNING", "status"), ("task_type=x", "task_type"), ("x=1", "")]
    {
        let answer = hq.send(Method::GET, &format!("{JOBS}?{query}"), &Value::Null).await;
        let refused = crate::problem::problem(answer, 400).await;
        assert!(field.is_empty() || refused["field"] == field, "{query}: {refused}");
    }
    let unknown = json!({"task_type": "verify_backup", "payload": {"backup_id": UUID}});
    hq.refused(Method::POST, JOBS, unknown, 404).await;
    let (_, detail) = ann.refused(Method::GET, JOBS, Value::Null, 400).await;
    assert!(detail.contains("org_id"), "{detail}");
    eu.refused(Method::GET, &one(&first), Value::Null, 404).await;
    let beta = Person::user(&api, "beta", "ann").await;
    let beta = within(&api, &beta, "hq").await;
    beta.refused(Method::GET, &one(&first), Value::Null, 404).await;
    assert_eq!(fields(&beta.get(JOBS).await, "task_type"), ["create_org"]);
    let user = ann.post("/api/v1/admin/users", json!({"username": "bob", "password": PASSWORD}));
    let member = json!({"user_id": user.await["id"], "roles": ["member"]});
    ann.post("/api/v1/admin/orgs/hq/members", member).await;
    let bob = Person::user(&api, "acme", "bob").await;
    let bob = within(&api, &bob, "hq").await;
    bob.refused(Method::POST, JOBS, backup.clone(), 403).await;
    bob.refused(Method::GET, &one(&first), Value::Null, 403).await;
    let nobody = Person::with(&api, "");
    assert_eq!(nobody.send(Method::POST, JOBS, &backup).await.status(), StatusCode::UNAUTHORIZED);
    settle(&env).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &[]);
    assert_tidy(&env).await;
}
