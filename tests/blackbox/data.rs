//! The connections to the orgs' own databases: few, bounded over all of them,
//! closed when nobody uses them, and never in anybody's way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor};
use yuantus_auth::{Sealer, purpose};
use yuantus_domain::OrgKey;
use yuantus_test_support::{Api, TestEnv, backup_id};

use crate::{
    customer::{add, json_of, make_org, of_org},
    problem::problem,
    quiet::assert_quiet,
    tidy::assert_tidy,
    world::{database, fill},
};

const CUSTOMERS: &str = "/api/v1/customers";
const SESSIONS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'yuantus:data'";

async fn sessions(env: &TestEnv) -> i64 {
    let mut identity = env.identity().await;
    sqlx::query_scalar(SESSIONS).fetch_one(&mut identity).await.expect("sessions")
}

/// Waits until there are so many sessions of the API's in orgs' databases.
async fn until_sessions(env: &TestEnv, expected: i64) {
    let begun = Instant::now();
    let mut identity = env.identity().await;
    loop {
        let found: i64 =
            sqlx::query_scalar(SESSIONS).fetch_one(&mut identity).await.expect("sessions");
        if found == expected {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "there are {found} sessions");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The most sessions that were seen at a time, until `stop`.
async fn most_sessions(env: &TestEnv, stop: &AtomicBool) -> i64 {
    let mut identity = env.identity().await;
    let mut most = 0;
    while !stop.load(Ordering::Relaxed) {
        let found: i64 =
            sqlx::query_scalar(SESSIONS).fetch_one(&mut identity).await.expect("sessions");
        most = most.max(found);
    }
    most
}

async fn status(api: &Api, tenant: &str) -> StatusCode {
    let request = of_org(api, (tenant, "hq"), Method::GET, CUSTOMERS);
    request.send().await.expect("answer").status()
}

#[tokio::test]
async fn twenty_tenants_share_four_connections() {
    let env = TestEnv::start().await;
    let few = [("YUANTUS_DATA__MAX_CONNECTIONS", "4"), ("YUANTUS_DATA__WAIT_SECONDS", "60")];
    let mut api = env.api_with(&few).await;
    let mut worker = env.worker("w", &[]);
    let tenants: Vec<String> = (0..20).map(|number| format!("tenant-{number:02}")).collect();
    join_all(tenants.iter().map(|tenant| make_org(&api, tenant))).await;
    let stop = AtomicBool::new(false);
    let storm = async {
        let requests = tenants.iter().flat_map(|tenant| [tenant; 6]).map(async |tenant| {
            let body = json!({"name": format!("of {tenant}")});
            json_of(of_org(&api, (tenant, "hq"), Method::POST, CUSTOMERS).json(&body)).await;
            status(&api, tenant).await
        });
        let statuses = join_all(requests).await;
        stop.store(true, Ordering::Relaxed);
        statuses
    };
    let (statuses, most) = tokio::join!(storm, most_sessions(&env, &stop));
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert!((1..=4).contains(&most), "{most} sessions were seen");
    for tenant in &tenants {
        let page = json_of(of_org(&api, (tenant, "hq"), Method::GET, CUSTOMERS)).await;
        let customers = page["customers"].as_array().expect("customers");
        let own = format!("of {tenant}");
        assert_eq!(customers.len(), 6);
        assert!(customers.iter().all(|customer| customer["name"] == own.as_str()), "{page}");
    }
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    until_sessions(&env, 0).await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn connections_that_nobody_uses_are_closed() {
    let env = TestEnv::start().await;
    let api = env.api_with(&[("YUANTUS_DATA__IDLE_SECONDS", "0.3")]).await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    for _ in 0..2 {
        add(&api, "acme", "Ann").await;
        until_sessions(&env, 0).await;
    }
    worker.terminate().await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_tenant_that_hangs_starves_itself_alone() {
    let env = TestEnv::start().await;
    let limits = [
        ("YUANTUS_DATA__MAX_CONNECTIONS", "3"),
        ("YUANTUS_DATA__WAIT_SECONDS", "1"),
        ("YUANTUS_DATA__STATEMENT_TIMEOUT_SECONDS", "4"),
    ];
    let mut api = env.api_with(&limits).await;
    let mut worker = env.worker("w", &[]);
    for tenant in ["hangs", "lives"] {
        make_org(&api, tenant).await;
        add(&api, tenant, "Ann").await;
    }
    let mut lock = env.connect(&database("hangs", "hq")).await;
    lock.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE").await.expect("lock");
    let hanging = join_all((0..8).map(async |_| {
        let request = of_org(&api, ("hangs", "hq"), Method::GET, CUSTOMERS);
        let answer = request.send().await.expect("answer");
        assert!(answer.headers().contains_key("retry-after"));
        problem(answer, 503).await["reason"].clone()
    }));
    let living = async {
        // Once both connections of the other hang, and all along.
        let begun = Instant::now();
        let mut served = 0;
        while begun.elapsed() < Duration::from_secs(2) {
            assert_eq!(status(&api, "lives").await, StatusCode::OK);
            served += 1;
        }
        served
    };
    let (reasons, served) = tokio::join!(hanging, living);
    assert!(served > 0);
    assert!(reasons.iter().all(|reason| reason == "DATABASE_BUSY"), "{reasons:?}");
    lock.close().await.expect("close");
    assert_eq!(status(&api, "hangs").await, StatusCode::OK);
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_restore_is_not_noticed_by_the_requests_around_it() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    fill(&env, &database("acme", "hq"), 1000).await;
    let before = add(&api, "acme", "in the backup").await;
    let backup = api.succeed(&api.create_backup("acme", "hq").await).await;
    let after = add(&api, "acme", "not in the backup").await;
    let done = Arc::new(AtomicBool::new(false));
    let asking = join_all((0..4).map(async |_| {
        let mut seen = Vec::new();
        while !done.load(Ordering::Relaxed) {
            seen.push(status(&api, "acme").await);
        }
        seen
    }));
    let restoring = async {
        api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
        done.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(asking, restoring);
    let seen = seen.concat();
    let later = StatusCode::SERVICE_UNAVAILABLE;
    assert!(seen.iter().all(|status| [StatusCode::OK, later].contains(status)), "{seen:?}");
    assert!(seen.contains(&StatusCode::OK));

    // Idle connections died with the database they were to: nobody notices.
    assert_eq!(status(&api, "acme").await, StatusCode::OK);
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    for (id, expected) in [(&before, 200), (&after, 404)] {
        let request = of_org(&api, ("acme", "hq"), Method::GET, &format!("{CUSTOMERS}/{id}"));
        assert_eq!(request.send().await.expect("answer").status().as_u16(), expected);
    }
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &["an org's database cannot be used now"]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_new_password_is_used_at_once_and_an_inactive_tenant_has_no_connection() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    add(&api, "acme", "Ann").await;
    assert_eq!(sessions(&env).await, 1);

    let sealing_key = STANDARD.encode("0123456789abcdef0123456789abcdef");
    let sealer = Sealer::new(&sealing_key.into()).expect("sealer");
    let key = OrgKey::parse("acme", "hq").expect("key");
    let sealed = sealer.seal(b"another1", &purpose::database_password(&key, 2)).expect("sealed");
    let mut identity = env.identity().await;
    let alter = format!("ALTER ROLE \"{}\" PASSWORD 'another1'", database("acme", "hq"));
    identity.execute(AssertSqlSafe(alter)).await.expect("password");
    let pid = "SELECT pid FROM pg_stat_activity WHERE application_name = 'yuantus:data'";
    let old: i32 = sqlx::query_scalar(pid).fetch_one(&mut identity).await.expect("session");
    let update = "UPDATE databases SET password_version = 2, sealed_password = $1";
    sqlx::query(update).bind(sealed).execute(&mut identity).await.expect("update");
    assert_eq!(status(&api, "acme").await, StatusCode::OK);
    until_sessions(&env, 1).await;
    let new: i32 = sqlx::query_scalar(pid).fetch_one(&mut identity).await.expect("session");
    assert_ne!(old, new, "the session of the former password is closed");

    identity.execute("UPDATE tenants SET status = 'SUSPENDED'").await.expect("status");
    let request = of_org(&api, ("acme", "hq"), Method::GET, CUSTOMERS);
    problem(request.send().await.expect("answer"), 403).await;
    until_sessions(&env, 0).await;
    identity.execute("UPDATE tenants SET status = 'ACTIVE'").await.expect("status");
    assert_eq!(status(&api, "acme").await, StatusCode::OK);
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}
