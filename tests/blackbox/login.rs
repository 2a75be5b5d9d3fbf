//! Ways to log in, and to go from one org to another.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tonic::Code;
use yuantus_test_support::Api;

use crate::{
    authentication::{ADMIN_PASSWORD, call, locked},
    people::{PASSWORD, Person, org_without_database, tenant_with_ann},
    problem::{problem, refusal},
};

async fn at(api: &Api, host: &str, path: &str, body: &Value) -> Response {
    let request = Client::new().post(format!("{}{path}", api.url)).header("host", host);
    request.json(body).send().await.expect("answer")
}

#[tokio::test]
async fn a_host_says_whom_one_logs_in_to() {
    let env = locked().await;
    let hosts = [("ROOT_DOMAIN", "example.com"), ("PLATFORM_HOSTS", "admin.example.com")];
    let api = env.api_with(&hosts).await;
    let root = Person::root(&api).await;
    for tenant in ["acme", "beta"] {
        tenant_with_ann(&api, &root, tenant).await;
    }
    let sql = "UPDATE users SET email = 'Ann@Example.com' WHERE username = 'ann'";
    sqlx::query(sql).execute(&mut env.identity().await).await.expect(sql);
    let login = "/api/v1/auth/login";
    let by_name = json!({"username": "ann", "password": PASSWORD});
    let by_address = json!({"email": "ann@example.COM", "password": PASSWORD});
    for body in [&by_name, &by_address] {
        let answer = at(&api, "acme.example.com", login, body).await;
        assert_eq!(answer.status(), 200, "{body}");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["tenant_id"], "acme");
        let token = answer["access_token"].as_str().expect("token");
        let me = Person::with(&api, token).get("/api/v1/auth/me").await;
        assert_eq!((&me["username"], &me["tenant_id"]), (&json!("ann"), &json!("acme")));
    }
    let wrong = json!({"email": "nobody@example.com", "password": PASSWORD});
    let wrong = problem(at(&api, "acme.example.com", login, &wrong).await, 401).await;
    assert_eq!(wrong["detail"], "tenant, username or password is wrong");
    let nowhere = problem(at(&api, "127.0.0.1", login, &by_name).await, 400).await;
    assert_eq!(nowhere["field"], "tenant_id");
    let both = json!({"username": "ann", "email": "a@b", "password": PASSWORD});
    let both = problem(at(&api, "acme.example.com", login, &both).await, 400).await;
    assert_eq!(both["detail"], "email must not be given beside username");
    for tenant in ["beta", "platform"] {
        let other = json!({"tenant_id": tenant, "username": "ann", "password": PASSWORD});
        let other = problem(at(&api, "acme.example.com", login, &other).await, 403).await;
        assert_eq!(other["reason"], "TENANT_MISMATCH");
    }

    let platform = "/api/v1/platform/auth/login";
    let owner = json!({"username": "root", "password": ADMIN_PASSWORD});
    let answer = at(&api, "admin.example.com", platform, &owner).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    let token = answer["access_token"].as_str().expect("token");
    Person::with(&api, token).get("/api/v1/tenants").await;
    let ann = problem(at(&api, "admin.example.com", platform, &by_name).await, 401).await;
    assert_eq!(ann["reason"], "UNAUTHENTICATED", "not a user of the platform");
    for host in ["acme.example.com", "127.0.0.1"] {
        let refused = problem(at(&api, host, platform, &owner).await, 403).await;
        assert_eq!(refused["reason"], "NOT_A_PLATFORM_HOST", "{host}");
    }
    let made = Client::new().post(format!("{}/api/v1/platform/tenants", api.url));
    let made = made.bearer_auth(token).json(&json!({"id": "gamma"}));
    let there = made.try_clone().expect("request").header("host", "admin.example.com");
    let there: Value = there.send().await.expect("answer").json().await.expect("JSON");
    assert_eq!((&there["id"], &there["status"]), (&json!("gamma"), &json!("ACTIVE")));
    let elsewhere = problem(made.send().await.expect("answer"), 403).await;
    assert_eq!(elsewhere["reason"], "NOT_A_PLATFORM_HOST");
    let status = call(&api, None, "LoginToPlatform", owner).await.expect_err("not at this host");
    assert_eq!(refusal(&status, Code::PermissionDenied), "NOT_A_PLATFORM_HOST");

    let suspend = json!({"is_active": false});
    root.patch("/api/v1/tenants/beta", suspend).await;
    let beta = json!({"tenant_id": "beta", "username": "ann", "password": PASSWORD});
    let refused = problem(at(&api, "127.0.0.1", login, &beta).await, 403).await;
    assert_eq!(refused["reason"], "TENANT_SUSPENDED");
    let guessed = json!({"tenant_id": "beta", "username": "ann", "password": "guessed"});
    problem(at(&api, "127.0.0.1", login, &guessed).await, 401).await;
}

#[tokio::test]
async fn a_user_goes_from_one_own_org_to_another_and_to_no_other() {
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    for org in ["eu", "hq", "lab"] {
        org_without_database(&env, "acme", org).await;
    }
    let ann = Person::user(&api, "acme", "ann").await;
    let bob = json!({"username": "bob", "password": PASSWORD, "email": "bob@acme"});
    let id = ann.post("/api/v1/admin/users", bob).await["id"].clone();
    for (org, role) in [("hq", "owner"), ("eu", "support_agent")] {
        let member = json!({"user_id": id, "roles": [role]});
        ann.post(&format!("/api/v1/admin/orgs/{org}/members"), member).await;
    }
    let bob = Person::user(&api, "acme", "bob").await;
    let orgs = bob.get("/api/v1/auth/orgs").await;
    let org = |id: &str| json!({"id": id, "name": id, "is_active": true});
    let expected = json!({"tenant_id": "acme", "user_id": id, "orgs": [org("eu"), org("hq")],
        "next_page_token": ""});
    assert_eq!(orgs, expected);
    let all = ann.get("/api/v1/auth/orgs").await;
    assert_eq!(all["orgs"], json!([org("eu"), org("hq"), org("lab")]));
    let first = ann.get("/api/v1/auth/orgs?page_size=2").await;
    let next = first["next_page_token"].as_str().expect("token");
    let rest = ann.get(&format!("/api/v1/auth/orgs?page_size=2&page_token={next}")).await;
    assert_eq!(rest["orgs"], json!([org("lab")]));
    assert_eq!(root.get("/api/v1/auth/orgs").await["orgs"], json!([]));

    let switch = "/api/v1/auth/switch-org";
    let answer = bob.post(switch, json!({"org_id": "hq"})).await;
    assert_eq!((&answer["token_type"], &answer["refresh_token"]), (&json!("bearer"), &json!("")));
    let in_hq = Person::with(&api, answer["access_token"].as_str().expect("token"));
    let me = in_hq.get("/api/v1/auth/me").await;
    let expected = json!({"tenant_id": "acme", "org_id": "hq", "user_id": id, "username": "bob",
        "email": "bob@acme", "roles": ["member", "owner"]});
    assert_eq!(me, expected);
    let answer = in_hq.post(switch, json!({"org_id": "eu"})).await;
    let in_eu = Person::with(&api, answer["access_token"].as_str().expect("token"));
    assert_eq!(in_eu.get("/api/v1/auth/me").await["roles"], json!(["member", "support_agent"]));
    for no in ["lab", "nowhere"] {
        let (_, detail) = bob.refused(Method::POST, switch, json!({"org_id": no}), 403).await;
        assert_eq!(detail, format!("not a member of org `{no}`"));
    }
    // Who is put out of the token's org can still go to another.
    let one = format!("/api/v1/admin/orgs/eu/members/{id}");
    ann.ok(Method::DELETE, &one, Value::Null).await;
    let tenant = async || in_eu.send(Method::GET, "/api/v1/admin/tenant", &Value::Null).await;
    let out = async { while tenant().await.status() != 403 {} };
    tokio::time::timeout(crate::people::SOON, out).await.expect("out of eu");
    in_eu.post(switch, json!({"org_id": "hq"})).await;
    // All of it is one session.
    let sessions = bob.get("/api/v1/auth/sessions").await;
    assert_eq!(sessions["items"].as_array().expect("items").len(), 1);
    assert_eq!(sessions["items"][0]["org_id"], "hq");
    bob.post("/api/v1/auth/logout", json!({})).await;
    let over = async { while tenant().await.status() != 401 {} };
    tokio::time::timeout(crate::people::SOON, over).await.expect("all tokens are over");
}

#[tokio::test]
async fn too_many_attempts_are_refused_whoever_makes_them() {
    let env = locked().await;
    let limits = [
        ("YUANTUS_AUTH__LOGIN_ATTEMPTS_PER_ACCOUNT", "3"),
        ("YUANTUS_AUTH__LOGIN_ATTEMPTS_PER_SOURCE", "8"),
        ("YUANTUS_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let api = env.api_with(&limits).await;
    let sql = "UPDATE users SET email = 'root@example.com'";
    sqlx::query(sql).execute(&mut env.identity().await).await.expect(sql);
    // Every address is one's that a proxy of ours names.
    let log_in = async |from: &str, body: Value| {
        let request = Client::new().post(format!("{}/api/v1/auth/login", api.url));
        let request = request.header("x-forwarded-for", from).json(&body);
        request.send().await.expect("answer")
    };
    let root =
        |password: &str| json!({"tenant_id": "platform", "username": "root", "password": password});
    for n in 0..3 {
        let refused = log_in(&format!("198.51.100.{n}"), root("guessed")).await;
        assert_eq!(refused.status(), 401);
    }
    let right = log_in("198.51.100.9", root(ADMIN_PASSWORD)).await;
    let seconds = right.headers()["retry-after"].to_str().expect("text").parse::<u64>();
    assert!((1..=20).contains(&seconds.expect("seconds")));
    let refused = problem(right, 429).await;
    assert_eq!(refused["reason"], "TOO_MANY_LOGINS");
    let by_address = json!({"tenant_id": "platform", "email": "ROOT@example.com",
        "password": ADMIN_PASSWORD});
    problem(log_in("198.51.100.9", by_address).await, 429).await;
    let status = call(&api, None, "Login", root(ADMIN_PASSWORD)).await.expect_err("by gRPC too");
    assert_eq!(refusal(&status, Code::ResourceExhausted), "TOO_MANY_LOGINS");

    let nobody = |n: usize| json!({"tenant_id": "acme", "username": format!("nobody-{n}"), "password": "guessed"});
    for n in 0..8 {
        let spoofed = format!("192.0.2.{n}, 203.0.113.1");
        assert_eq!(log_in(&spoofed, nobody(n)).await.status(), 401, "{n}");
    }
    problem(log_in("203.0.113.1", nobody(9)).await, 429).await;
    assert_eq!(log_in("203.0.113.2", nobody(9)).await.status(), 401);
    for n in 0..2 {
        assert_eq!(log_in(&format!("203.0.113.1{n}"), nobody(9)).await.status(), 401);
    }
    problem(log_in("203.0.113.20", nobody(9)).await, 429).await;
    let sql = "SELECT count(*) FROM audit_logs WHERE action = 'login.fail'
        AND client_ip = '198.51.100.9'";
    let mut identity = env.identity().await;
    let told = async {
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut identity).await.expect(sql) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::people::SOON, told).await.expect("in the audit trail");
}

#[tokio::test]
async fn a_storm_of_logins_keeps_nobody_else_waiting() {
    const STORM: usize = 150;
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    let ended = AtomicUsize::new(0);
    let storm = join_all((0..STORM).map(async |n| {
        // Whom nobody knows costs as much as a wrong password.
        let body = json!({"tenant_id": "platform", "username": format!("u-{n}"), "password": "x"});
        let request = Client::new().post(format!("{}/api/v1/auth/login", api.url)).json(&body);
        let status = request.send().await.expect("answer").status();
        ended.fetch_add(1, Ordering::Relaxed);
        status
    }));
    let others = async {
        // The storm is on.
        while ended.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..20 {
            root.get("/api/v1/tenants").await;
        }
        ended.load(Ordering::Relaxed)
    };
    let (answers, ended_before) = tokio::join!(storm, others);
    assert!(ended_before < STORM / 2, "the others waited for {ended_before} logins");
    // Who would have to wait too long is told to come back.
    assert!(answers.iter().all(|status| [401, 503].contains(&status.as_u16())), "{answers:?}");
    Person::root(&api).await;
}

#[tokio::test]
async fn a_new_key_for_tokens_throws_nobody_out_until_the_old_one_is_taken_away() {
    const NEW: &str = "another secret of the tests, as long";
    let env = locked().await;
    let mut api = env.api().await;
    let old = Person::root(&api).await.token;
    api.child.terminate().await;
    let variables = env.variables();
    let secret = variables.iter().find(|(name, _)| name == "YUANTUS_JWT_SECRET_KEY");
    let (_, secret) = secret.expect("secret");
    let both = [("YUANTUS_JWT_SECRET_KEY", NEW), ("YUANTUS_PREVIOUS_JWT_SECRETS", &**secret)];
    let mut api = env.api_with(&both).await;
    Person::with(&api, &*old).get("/api/v1/tenants").await;
    let new = Person::root(&api).await.token;
    api.child.terminate().await;
    let api = env.api_with(&[("YUANTUS_JWT_SECRET_KEY", NEW)]).await;
    Person::with(&api, new).get("/api/v1/tenants").await;
    Person::with(&api, old).refused(Method::GET, "/api/v1/tenants", Value::Null, 401).await;
}
