//! The same request a thousand times makes one thing, two hundred requests
//! make two hundred, and nothing waits for itself.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::Row;
use tonic::Code;
use yuantus_proto::v1;
use yuantus_test_support::{Api, TestEnv};

use crate::{
    problem::{problem, refusal},
    quiet::assert_quiet,
    settle::settle,
    tidy::assert_tidy,
    world::database,
};

async fn count(env: &TestEnv, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect("count")
}

/// With so many databases made at once, one may not answer in time.
const STORM: &[&str] = &["a step failed and will be tried again"];

/// How often a client that is told to come back later does.
const TRIES: usize = 30;

/// Deadlocks are counted when the sessions that met them have ended.
async fn assert_no_deadlock(env: &TestEnv) {
    let sql = "SELECT coalesce(datname, ''), deadlocks FROM pg_stat_database WHERE deadlocks > 0";
    let rows = sqlx::query(sql).fetch_all(&mut env.identity().await).await.expect("statistics");
    let met: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(met.is_empty(), "deadlocks: {met:?}");
}

/// Asks for an org; a client that is told to come back later does, with the
/// same key.
async fn create_by_grpc(api: &Api, org: &str, key: &str) -> Result<String, tonic::Status> {
    let request = v1::CreateOrgRequest {
        tenant_id: "acme".into(),
        id: org.into(),
        request_id: key.into(),
        ..Default::default()
    };
    for _ in 0..TRIES {
        match api.orgs().create_org(request.clone()).await {
            Ok(operation) => return Ok(operation.into_inner().id),
            Err(status) if status.code() == Code::Unavailable => {}
            Err(status) => return Err(status),
        }
    }
    panic!("the API stays unavailable");
}

/// The same over REST, with the key in a header.
async fn create_by_rest(
    http: &reqwest::Client,
    api: &Api,
    org: &str,
    key: &str,
) -> reqwest::Response {
    for _ in 0..TRIES {
        let request = http.post(format!("{}/api/v1/tenants/acme/orgs", api.url));
        let request = request.header("Idempotency-Key", key).json(&json!({ "id": org }));
        let answer = request.send().await.expect("answer");
        if answer.status() != reqwest::StatusCode::SERVICE_UNAVAILABLE {
            return answer;
        }
    }
    panic!("the API stays unavailable");
}

#[tokio::test]
async fn a_thousand_requests_of_one_key_make_one_database() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    let http = reqwest::Client::new();
    let ask = async |number: usize| {
        if number.is_multiple_of(2) {
            return create_by_grpc(&api, "hq", "the-key").await.expect("gRPC");
        }
        let answer = create_by_rest(&http, &api, "hq", "the-key").await;
        let operation: Value = answer.error_for_status().expect("REST").json().await.expect("JSON");
        operation["id"].as_str().expect("id").to_owned()
    };
    let ids: BTreeSet<String> = join_all((0..1000).map(ask)).await.into_iter().collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    api.succeed(&api.operation(ids.first().expect("one")).await).await;

    let other = create_by_grpc(&api, "branch", "the-key").await.expect_err("another request");
    assert_eq!(refusal(&other, Code::AlreadyExists), "IDEMPOTENCY_KEY_REUSED");
    let other = create_by_rest(&http, &api, "branch", "the-key").await;
    assert_eq!(problem(other, 409).await["reason"], "IDEMPOTENCY_KEY_REUSED");
    let backup = v1::CreateBackupRequest {
        tenant_id: "acme".into(),
        org_id: "hq".into(),
        request_id: "the-key".into(),
    };
    let other = api.backups().create_backup(backup).await.expect_err("another RPC");
    assert_eq!(refusal(&other, Code::AlreadyExists), "IDEMPOTENCY_KEY_REUSED");
    let other = create_by_grpc(&api, "hq", "another-key").await.expect_err("another key");
    assert_eq!(refusal(&other, Code::AlreadyExists), "ALREADY_EXISTS");

    for sql in [
        "SELECT count(*) FROM operations",
        "SELECT count(*) FROM orgs",
        "SELECT count(*) FROM databases",
        "SELECT count(*) FROM audit_logs WHERE action = 'org.create'",
    ] {
        assert_eq!(count(&env, sql).await, 1, "{sql}");
    }
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, STORM);
    assert_no_deadlock(&env).await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn two_hundred_requests_of_different_keys_make_two_hundred_databases() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    let orgs: Vec<String> = (0..200).map(|number| format!("org-{number:03}")).collect();
    let ask = async |org: &String| {
        create_by_grpc(&api, org, &format!("key-of-{org}")).await.expect("gRPC");
    };
    join_all(orgs.iter().map(ask)).await;
    settle(&env).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, STORM);

    // Each has its own role, which may connect to it and to no other.
    let sql = "SELECT d.datname, array_agg(r.rolname::text) FROM pg_database d, pg_roles r
        WHERE d.datname LIKE 'yuantus\\_mt\\_pg\\_\\_%' AND r.rolname LIKE 'yuantus\\_mt\\_pg\\_\\_%'
          AND r.rolcanlogin AND d.datallowconn
          AND has_database_privilege(r.oid, d.oid, 'CONNECT') GROUP BY 1 ORDER BY 1";
    let rows = sqlx::query(sql).fetch_all(&mut env.identity().await).await.expect("catalog");
    let usable: Vec<(String, Vec<String>)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
    assert_eq!(usable.len(), orgs.len(), "{usable:?}");
    for ((name, roles), org) in usable.iter().zip(&orgs) {
        assert_eq!(*name, database("acme", org));
        assert_eq!(roles.len(), 1, "{name} is open to {roles:?}");
    }
    assert_no_deadlock(&env).await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn twenty_tenants_at_once_are_one_by_one_key_and_twenty_by_twenty() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let create = async |id: String, key: String| {
        let request = v1::CreateTenantRequest {
            id,
            admin_username: "ann".into(),
            admin_password: "correct horse".into(),
            request_id: key,
            ..Default::default()
        };
        api.tenants().create_tenant(request).await.map(tonic::Response::into_inner)
    };
    let same = join_all((0..20).map(|_| create("acme".into(), "the-key".into()))).await;
    let same: Vec<v1::Tenant> = same.into_iter().map(|made| made.expect("tenant")).collect();
    assert!(same.windows(2).all(|pair| pair[0] == pair[1]), "{same:?}");
    let reused = create("other".into(), "the-key".into()).await.expect_err("another request");
    assert_eq!(refusal(&reused, Code::AlreadyExists), "IDEMPOTENCY_KEY_REUSED");
    let taken = create("acme".into(), "another-key".into()).await.expect_err("another key");
    assert_eq!(refusal(&taken, Code::AlreadyExists), "ALREADY_EXISTS");

    let different = (0..20).map(|n| create(format!("tenant-{n}"), format!("key-{n}")));
    join_all(different).await.into_iter().for_each(|made| drop(made.expect("tenant")));
    for sql in [
        "SELECT count(*) FROM tenants",
        "SELECT count(*) FROM users",
        "SELECT count(*) FROM audit_logs WHERE action = 'tenant.create'",
    ] {
        assert_eq!(count(&env, sql).await, 21, "{sql}");
    }
    assert_quiet(&api.child, &[]);
    assert_no_deadlock(&env).await;
    assert_tidy(&env).await;
}
