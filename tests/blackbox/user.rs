//! Users: made, listed, changed and deleted by their own tenant's
//! administrators and by nobody else's.

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{
    authentication::{call, locked, login},
    people::{PASSWORD, Person, SOON, fields, tenant_with_ann},
    problem::{problem, refusal},
    quiet::assert_quiet,
};

#[tokio::test]
async fn a_tenants_users_are_made_listed_changed_and_deleted() {
    let env = locked().await;
    let mut api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    let ann = Person::user(&api, "acme", "ann").await;

    let bob = json!({"username": "bob", "password": PASSWORD, "email": "Bob@Example.com"});
    let bob = ann.post("/api/v1/admin/users", bob).await;
    assert_eq!(
        (&bob["tenant_id"], &bob["username"], &bob["email"], &bob["roles"]),
        (&json!("acme"), &json!("bob"), &json!("Bob@Example.com"), &json!(["member"]))
    );
    assert_eq!((&bob["is_active"], &bob["is_superuser"]), (&json!(true), &json!(false)));
    let again = json!({"username": "bob", "password": PASSWORD});
    let (_, detail) = ann.refused(Method::POST, "/api/v1/admin/users", again, 409).await;
    assert_eq!(detail, "user `bob` already exists");
    let same = json!({"username": "bobby", "password": PASSWORD, "email": "bob@example.COM"});
    let (_, detail) = ann.refused(Method::POST, "/api/v1/admin/users", same, 409).await;
    assert_eq!(detail, "user with address `bob@example.COM` already exists");
    for n in 0..5 {
        let user = json!({"username": format!("user-{n}"), "password": PASSWORD});
        ann.post("/api/v1/tenants/acme/users", user).await;
    }
    let all = ann.get("/api/v1/admin/users").await;
    assert_eq!((all["total"].clone(), fields(&all, "id").len()), (json!(7), 7));
    let mut paged: Vec<Value> = Vec::new();
    let mut token = String::new();
    loop {
        let path = format!("/api/v1/tenants/acme/users?page_size=3&page_token={token}");
        let page = ann.get(&path).await;
        paged.extend(fields(&page, "id").into_iter().cloned());
        token = page["next_page_token"].as_str().expect("token").to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged.iter().collect::<Vec<_>>(), fields(&all, "id"));

    let path = format!("/api/v1/admin/users/{}", bob["id"]);
    assert_eq!(ann.get(&path).await, bob);
    let changed = ann.patch(&path, json!({"email": "", "is_superuser": true})).await;
    assert_eq!((&changed["email"], &changed["roles"]), (&json!(""), &json!(["tenant_admin"])));
    let untouched = ann.patch(&path, json!({})).await;
    assert_eq!(untouched["roles"], json!(["tenant_admin"]));
    ann.ok(Method::DELETE, &path, Value::Null).await;
    ann.refused(Method::GET, &path, Value::Null, 404).await;
    ann.refused(Method::DELETE, &path, Value::Null, 404).await;
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn nobody_reaches_the_users_of_another_tenant() {
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    for tenant in ["acme", "beta"] {
        tenant_with_ann(&api, &root, tenant).await;
    }
    let ann = Person::user(&api, "acme", "ann").await;
    let theirs = root.get("/api/v1/tenants/beta/users").await;
    let theirs = fields(&theirs, "id")[0].clone();
    for (path, status) in [
        (format!("/api/v1/tenants/beta/users/{theirs}"), 403),
        (format!("/api/v1/tenants/acme/users/{theirs}"), 404),
        (format!("/api/v1/admin/users/{theirs}"), 404),
        (format!("/api/v1/tenants/platform/users/{theirs}"), 403),
        ("/api/v1/tenants/platform/users".to_owned(), 403),
    ] {
        ann.refused(Method::GET, &path, Value::Null, status).await;
    }
    let reset = format!("/api/v1/admin/users/{theirs}/reset-password");
    ann.refused(Method::POST, &reset, json!({"password": PASSWORD}), 404).await;
    let chosen = json!({"username": "eve", "password": PASSWORD, "user_id": 4711});
    ann.refused(Method::POST, "/api/v1/admin/users", chosen.clone(), 403).await;
    let sneaky = json!({"username": "eve", "password": PASSWORD, "tenant_id": "beta"});
    ann.refused(Method::POST, "/api/v1/admin/users", sneaky, 403).await;

    let made = root.post("/api/v1/tenants/acme/users", chosen.clone()).await;
    assert_eq!(made["id"], 4711);
    let taken = json!({"username": "eva", "password": PASSWORD, "user_id": 4711});
    root.refused(Method::POST, "/api/v1/tenants/beta/users", taken, 409).await;
    let next = json!({"username": "fay", "password": PASSWORD});
    let next = root.post("/api/v1/tenants/acme/users", next).await;
    assert_eq!(next["id"], 4712, "ids go on after the one that was chosen");
    let eve = Person::user(&api, "acme", "eve").await;
    eve.refused(Method::GET, "/api/v1/admin/users", Value::Null, 403).await;
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    let ann = Person::user(&api, "acme", "ann").await;
    let me = ann.get("/api/v1/auth/me").await["user_id"].clone();
    let path = format!("/api/v1/tenants/acme/users/{me}");
    for change in [json!({"is_active": false}), json!({"is_superuser": false})] {
        let (reason, detail) = ann.refused(Method::PATCH, &path, change, 412).await;
        assert_eq!(reason, "LAST_ADMIN");
        assert_eq!(detail, format!("user `{me}` is the last active administrator of `acme`"));
    }
    ann.refused(Method::DELETE, &path, Value::Null, 412).await;
    let users = root.get("/api/v1/tenants/platform/users").await;
    let own = format!("/api/v1/tenants/platform/users/{}", fields(&users, "id")[0]);
    root.refused(Method::PATCH, &own, json!({"is_active": false}), 412).await;

    let bob = json!({"username": "bob", "password": PASSWORD, "is_superuser": true});
    let bob = ann.post("/api/v1/admin/users", bob).await;
    // Of two administrators who put each other off at once, one stays.
    let other = format!("/api/v1/tenants/acme/users/{}", bob["id"]);
    let off = json!({"is_active": false});
    let (one, two) =
        tokio::join!(root.send(Method::PATCH, &path, &off), root.send(Method::PATCH, &other, &off));
    let mut codes = [one.status().as_u16(), two.status().as_u16()];
    codes.sort_unstable();
    assert_eq!(codes, [200, 412]);
}

#[tokio::test]
async fn a_password_that_was_reset_is_the_only_one() {
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    let ann = Person::user(&api, "acme", "ann").await;
    let bob = json!({"username": "bob", "password": "the first password"});
    let bob = ann.post("/api/v1/admin/users", bob).await;
    let path = format!("/api/v1/admin/users/{}/reset-password", bob["id"]);
    ann.post(&path, json!({"password": PASSWORD})).await;
    Person::user(&api, "acme", "bob").await;
    let old = json!({"tenant_id": "acme", "username": "bob", "password": "the first password"});
    let status = call(&api, None, "Login", old).await.expect_err("the old password");
    refusal(&status, tonic::Code::Unauthenticated);
    let sql = "SELECT array_agg(action ORDER BY id) FROM audit_logs WHERE target LIKE $1";
    let actions: Vec<String> = sqlx::query_scalar(sql)
        .bind(format!("tenants/acme/users/{}", bob["id"]))
        .fetch_one(&mut env.identity().await)
        .await
        .expect("audit");
    assert_eq!(actions, ["user.create", "user.reset_password"]);
}

#[tokio::test]
async fn whoever_knows_the_own_password_changes_it() {
    const NEW: &str = "another battery staple";
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    let ann = Person::user(&api, "acme", "ann").await;
    let change = "/api/v1/auth/change-password";
    let body = |current: &str, new: &str| json!({"current_password": current, "password": new});
    let (_, detail) = ann.refused(Method::POST, change, body("guessed", NEW), 400).await;
    assert_eq!(detail, "current_password is not the password");
    let nobody = Person::with(&api, "");
    nobody.refused(Method::POST, change, body(PASSWORD, NEW), 401).await;
    let key = ann.post("/api/v1/admin/api-keys", json!({"name": "ci", "role": "tenant_admin"}));
    let key = key.await["secret"].as_str().expect("secret").to_owned();
    let request = Client::new().post(format!("{}{change}", api.url)).header("x-api-key", key);
    let answer = request.json(&body(PASSWORD, NEW)).send().await.expect("answer");
    assert_eq!(problem(answer, 403).await["detail"], "only users have passwords");

    ann.post(change, body(PASSWORD, NEW)).await;
    let out = async {
        while ann.send(Method::GET, "/api/v1/auth/me", &Value::Null).await.status() != 401 {}
    };
    tokio::time::timeout(SOON, out).await.expect("all sessions are over");
    let old = json!({"tenant_id": "acme", "username": "ann", "password": PASSWORD});
    nobody.refused(Method::POST, "/api/v1/auth/login", old, 401).await;
    let token = login(&api, "acme", "ann", NEW).await;
    // At the command line, and back again.
    let more = [("YUANTUS_SERVER", &*api.url), ("YUANTUS_TOKEN", &*token)];
    let line = ["user", "change-password", "--password-stdin"];
    env.cli(&line, &more, &format!("{NEW}\n{PASSWORD}\n")).await.succeeded();
    Person::user(&api, "acme", "ann").await;
    let sql = "SELECT count(*) FROM audit_logs WHERE action = 'user.change_password'";
    let told: i64 = sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect(sql);
    assert_eq!(told, 2);
}

#[tokio::test]
async fn users_are_managed_at_the_command_line() {
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    crate::people::org_without_database(&env, "acme", "hq").await;
    let more = [("YUANTUS_SERVER", &*api.url), ("YUANTUS_TOKEN", &*root.token)];
    let run = async |arguments: &[&str], stdin: &str| {
        env.cli(arguments, &more, stdin).await.succeeded().text().to_owned()
    };
    let create = ["user", "create", "acme", "bob", "--password-stdin", "-o", "json"];
    let bob: Value = serde_json::from_str(&run(&create, PASSWORD).await).expect("JSON");
    let id = bob["id"].to_string();
    assert_eq!(bob["username"], "bob");
    let listed = run(&["user", "list", "acme"], "").await;
    assert!(listed.contains("ann") && listed.contains("bob"), "{listed}");
    run(&["member", "add", "acme/hq", "bob", "--roles", "owner,support_agent"], "").await;
    let members = run(&["member", "list", "acme/hq"], "").await;
    assert!(members.contains("owner,support_agent"), "{members}");
    run(&["member", "update", "acme/hq", &id, "--active", "false"], "").await;
    run(&["member", "remove", "acme/hq", &id], "").await;
    run(&["user", "update", "acme", &id, "--email", "bob@acme.example"], "").await;
    run(&["user", "reset-password", "acme", &id, "--password-stdin"], "another password").await;
    run(&["user", "delete", "acme", &id], "").await;
    let gone = env.cli(&["user", "get", "acme", &id], &more, "").await;
    assert!(gone.code != Some(0) && gone.stderr.contains("not found"), "{}", gone.stderr);
}
