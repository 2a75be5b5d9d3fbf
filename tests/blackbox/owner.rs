//! The first administrators, and what is done at the server's console.

use reqwest::Method;
use serde_json::{Value, json};
use yuantus_test_support::{Options, TestEnv};

use crate::{people::Person, quiet::assert_quiet};

const TOKEN: &str = "a bootstrap token that is long enough";
const PASSWORD: &str = "an owner's own passphrase 7";

/// Authentication is required, and there is no platform administrator.
async fn empty() -> TestEnv {
    let variables = vec![("YUANTUS_AUTH_MODE".to_owned(), "required".to_owned())];
    TestEnv::start_with(Options { variables, ..Options::default() }).await
}

#[tokio::test]
async fn the_bootstrap_token_is_good_until_there_is_an_owner() {
    let env = empty().await;
    let api = env.api_with(&[("BOOTSTRAP_TOKEN", TOKEN)]).await;
    let bootstrap = Person::with(&api, TOKEN);
    bootstrap.post("/api/v1/tenants", json!({"id": "acme"})).await;
    let user = json!({"username": "olga", "password": PASSWORD, "is_superuser": true,
        "tenant_id": "platform"});
    let wrong = Person::with(&api, "a bootstrap token that is long enoug?");
    wrong.refused(Method::GET, "/api/v1/tenants", Value::Null, 401).await;
    bootstrap.post("/api/v1/tenants/platform/users", user).await;
    let (_, detail) = bootstrap.refused(Method::GET, "/api/v1/tenants", Value::Null, 401).await;
    assert_eq!(detail, "there is a platform administrator: the bootstrap token is off");

    let more = [("BOOTSTRAP_TOKEN", TOKEN), ("YUANTUS_AUTH__BOOTSTRAP_TOKEN_ALWAYS", "true")];
    let always = env.api_with(&more).await;
    let audited = Person::with(&always, TOKEN).get("/api/v1/admin/audit?action=user.create").await;
    assert_eq!(audited["total"], 1, "{audited}");
    for api in [api, always] {
        assert_quiet(&api.child, &[]);
    }
}

#[tokio::test]
async fn the_first_owner_is_made_once_and_logs_in_by_address() {
    let env = empty().await;
    let first = [("FIRST_OWNER_EMAIL", "Olga@Example.com"), ("FIRST_OWNER_PASSWORD", PASSWORD)];
    let (one, two) = tokio::join!(env.api_with(&first), env.api_with(&first));
    let body = json!({"email": "olga@example.com", "password": PASSWORD});
    let login = "/api/v1/platform/auth/login";
    let nobody = Person::with(&one, "");
    // It is made beside what the API serves already.
    let mut answer = nobody.send(Method::POST, login, &body).await;
    while answer.status() == 401 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        answer = nobody.send(Method::POST, login, &body).await;
    }
    let answer: Value = answer.json().await.expect("JSON");
    let owner = Person::with(&two, answer["access_token"].as_str().expect("token"));
    let me = owner.get("/api/v1/auth/me").await;
    assert_eq!(me["username"], "olga");
    let count = "SELECT count(*) FROM users WHERE tenant_id = 'platform'";
    let mut identity = env.identity().await;
    let owners: i64 = sqlx::query_scalar(count).fetch_one(&mut identity).await.expect(count);
    assert_eq!(owners, 1);

    let other = [("FIRST_OWNER_EMAIL", "eve@example.com"), ("FIRST_OWNER_PASSWORD", PASSWORD)];
    let third = env.api_with(&other).await;
    let body = json!({"email": "eve@example.com", "password": PASSWORD});
    Person::with(&third, "").refused(Method::POST, login, body, 401).await;
    let owners: i64 = sqlx::query_scalar(count).fetch_one(&mut identity).await.expect(count);
    assert_eq!(owners, 1);
    for api in [one, two, third] {
        assert_quiet(&api.child, &[]);
    }
}

#[tokio::test]
async fn breaking_the_glass_is_for_a_while_and_says_why() {
    let env = empty().await;
    let api = env.api().await;
    let settings = env.variables();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (&**n, &**v)).collect();
    let short = ["db", "break-glass", "--reason", "why not"];
    let short = env.cli(&short, &settings, "").await;
    assert!(short.code != Some(0) && short.stderr.contains("reason must have"), "{short:?}");
    let long = ["db", "break-glass", "--reason", "all admins left", "--minutes", "241"];
    assert!(env.cli(&long, &settings, "").await.code != Some(0));
    let reason = "the only admin is on a plane";
    let ran = env.cli(&["db", "break-glass", "--reason", reason], &settings, "").await.succeeded();
    let owner = Person::with(&api, ran.text().trim());
    owner.post("/api/v1/tenants", json!({"id": "acme"})).await;
    let audited = owner.get("/api/v1/admin/audit?action=break_glass&tenant_id=platform").await;
    assert_eq!(audited["total"], 1, "{audited}");
    let details: Value =
        sqlx::query_scalar("SELECT details FROM audit_logs WHERE action = 'break_glass'")
            .fetch_one(&mut env.identity().await)
            .await
            .expect("details");
    assert_eq!(details, json!({"reason": reason, "seconds": 900}));

    let id = "SELECT id::text FROM sessions";
    let id: String = sqlx::query_scalar(id).fetch_one(&mut env.identity().await).await.expect(id);
    env.cli(&["db", "break-glass", "--end", &id], &settings, "").await.succeeded();
    let fresh = env.api().await;
    let owner = Person::with(&fresh, ran.text().trim());
    owner.refused(Method::GET, "/api/v1/tenants", Value::Null, 401).await;
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn seeding_makes_what_is_missing_and_leaves_what_is_there() {
    let env = empty().await;
    let settings = env.variables();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (&**n, &**v)).collect();
    let meta = ["seed-meta", "--tenant", "tenant-1", "--org", "org-1"];
    let early = env.cli(&meta, &settings, "").await;
    assert!(early.code != Some(0) && early.stderr.contains("org"), "{early:?}");
    let identity = [
        "seed-identity",
        "--tenant",
        "tenant-1",
        "--org",
        "org-1",
        "--username",
        "admin",
        "--password",
        PASSWORD,
        "--user-id",
        "7",
        "--roles",
        "admin,owner",
        "--superuser",
    ];
    let first = env.cli(&identity, &settings, "").await.succeeded();
    assert!(first.stderr.contains("user admin: made"), "{}", first.stderr);
    let again = env.cli(&identity, &settings, "").await.succeeded();
    assert!(again.stderr.contains("user admin: there"), "{}", again.stderr);
    // No worker runs.
    for _ in 0..2 {
        let ran = env.cli(&meta, &settings, "").await.succeeded();
        assert!(ran.stderr.contains("is there, at revision"), "{}", ran.stderr);
    }
    let api = env.api().await;
    let body = json!({"tenant_id": "tenant-1", "org_id": "org-1", "username": "admin",
        "password": PASSWORD});
    let login = Person::with(&api, "").post("/api/v1/auth/login", body).await;
    assert_eq!(login["user_id"], 7);
    let admin = Person::with(&api, login["access_token"].as_str().expect("token"));
    let me = admin.get("/api/v1/auth/me").await;
    assert_eq!((&me["org_id"], &me["username"]), (&json!("org-1"), &json!("admin")));
    assert_quiet(&api.child, &[]);
}
