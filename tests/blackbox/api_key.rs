//! Keys of machines: good everywhere for what they are for, and for nothing
//! else; over at once when they are.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use yuantus_test_support::Api;

use crate::{
    authentication::locked,
    people::{
        PASSWORD, Person, doors, doors_become, fields, org_without_database, tenant_with_ann,
    },
    problem::problem,
    quiet::assert_quiet,
};

const KEYS: &str = "/api/v1/admin/api-keys";

/// Makes a key; answers its id and secret.
async fn make(person: &Person<'_>, path: &str, request: Value) -> (String, String) {
    let answer = person.post(path, request).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (text(&answer["api_key"]["id"]), text(&answer["secret"]))
}

/// What a key's holder is answered.
async fn ask(api: &Api, key: &str, method: Method, path: &str, body: Value) -> reqwest::Response {
    let request = Client::new().request(method, format!("{}{path}", api.url));
    let request = request.header("x-api-key", key);
    let request = if body.is_null() { request } else { request.json(&body) };
    request.send().await.expect("answer")
}

#[tokio::test]
async fn a_key_is_good_everywhere_until_it_is_revoked_or_ends() {
    let env = locked().await;
    let mut api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    for org in ["hq", "eu"] {
        org_without_database(&env, "acme", org).await;
    }
    let ann = Person::user(&api, "acme", "ann").await;
    let (id, secret) = make(&ann, KEYS, json!({"name": "ci"})).await;
    assert!(secret.starts_with("yk_") && secret.len() == 46);
    let bearer = format!("Bearer {secret}");
    assert_eq!(doors(&api, ("x-api-key", &secret)).await, 200);
    assert_eq!(doors(&api, ("authorization", &bearer)).await, 200);
    let me: Value = ask(&api, &secret, Method::GET, "/api/v1/auth/me", Value::Null)
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!((&me["username"], &me["roles"]), (&json!("key:ci"), &json!(["member"])));
    let (reason, _) = ann.refused(Method::POST, KEYS, json!({"name": "ci"}), 409).await;
    assert_eq!(reason, "ALREADY_EXISTS", "a lost secret is noticed");

    let listed = ann.get(KEYS).await;
    let key = &listed["items"][0];
    assert_eq!((&key["name"], &key["created_by"]), (&json!("ci"), &json!("acme/ann")));
    assert_eq!(key["prefix"].as_str(), Some(&secret[..9]));
    assert!(key["last_used_at"].is_string() && key["expires_at"].is_null(), "{key}");
    assert!(!listed.to_string().contains(&secret));
    let sql = "SELECT string_agg(k::text, ' ') FROM api_keys k";
    let kept: String =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect(sql);
    assert!(!kept.contains(&secret), "the secret is not kept");

    ann.ok(Method::DELETE, &format!("{KEYS}/{id}"), Value::Null).await;
    doors_become(&api, ("x-api-key", &secret), 401).await;
    doors_become(&api, ("authorization", &bearer), 401).await;
    ann.refused(Method::DELETE, &format!("{KEYS}/{id}"), Value::Null, 404).await;
    assert_eq!(ann.get(KEYS).await["items"], json!([]));
    make(&ann, KEYS, json!({"name": "ci"})).await;

    let (_, long) = make(&ann, KEYS, json!({"name": "long", "ttl_seconds": 3600})).await;
    assert_eq!(doors(&api, ("x-api-key", &long)).await, 200);
    assert!(ann.get(KEYS).await["items"][0]["expires_at"].is_string(), "newest first");
    let (_, short) = make(&ann, KEYS, json!({"name": "short", "ttl_seconds": 1})).await;
    doors_become(&api, ("x-api-key", &short), 401).await;
    let both = Client::new().get(format!("{}/api/v1/auth/me", api.url)).bearer_auth(&ann.token);
    problem(both.header("x-api-key", &short).send().await.expect("answer"), 401).await;
    for nonsense in ["yk_nothing", "", &format!("yk_{}", "A".repeat(43))] {
        assert_eq!(doors(&api, ("x-api-key", nonsense)).await, 401, "{nonsense}");
    }
    // What a key does is in the audit trail as the key's.
    let sql = "SELECT array_agg(action || ' ' || actor ORDER BY id) FROM audit_logs
        WHERE action LIKE 'api_key.%'";
    let told: Vec<String> =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect(sql);
    let expected = ["create", "revoke", "create", "create", "create"];
    assert_eq!(told, expected.map(|action| format!("api_key.{action} acme/ann")));
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn a_key_does_what_it_is_for_and_no_more_than_its_owner() {
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    for org in ["hq", "eu"] {
        org_without_database(&env, "acme", org).await;
    }
    let ann = Person::user(&api, "acme", "ann").await;
    let bob = json!({"username": "bob", "password": PASSWORD, "is_superuser": true});
    let bob_id = ann.post("/api/v1/admin/users", bob).await["id"].clone();
    let bob = Person::user(&api, "acme", "bob").await;

    for (bad, field) in [
        (json!({"name": "a", "role": "platform_admin"}), "role must be member or tenant_admin"),
        (
            json!({"name": "a", "role": "tenant_admin", "org_id": "hq"}),
            "role must be member with an org_id",
        ),
    ] {
        let (_, detail) = bob.refused(Method::POST, KEYS, bad, 400).await;
        assert_eq!(detail, field);
    }
    bob.refused(Method::POST, KEYS, json!({"name": "a", "org_id": "no"}), 404).await;
    let of_platform = "/api/v1/tenants/platform/api-keys";
    let admin = json!({"name": "a", "role": "platform_admin"});
    bob.refused(Method::POST, of_platform, admin.clone(), 403).await;
    let (_, platform) = make(&root, of_platform, admin).await;
    let tenants = ask(&api, &platform, Method::GET, "/api/v1/tenants", Value::Null).await;
    assert_eq!(tenants.status(), 200);

    let (_, admin) = make(&bob, KEYS, json!({"name": "admin", "role": "tenant_admin"})).await;
    let (_, member) = make(&bob, KEYS, json!({"name": "member"})).await;
    let (_, of_eu) = make(&bob, KEYS, json!({"name": "eu", "org_id": "eu"})).await;
    let users = async |key: &str| {
        ask(&api, key, Method::GET, "/api/v1/admin/users", Value::Null).await.status().as_u16()
    };
    assert_eq!((users(&admin).await, users(&member).await), (200, 403));
    assert_eq!(doors(&api, ("x-api-key", &of_eu)).await, 403, "for another org");
    let another = ask(&api, &admin, Method::POST, KEYS, json!({"name": "child"})).await;
    problem(another, 403).await;
    let session = ask(&api, &admin, Method::POST, "/api/v1/auth/logout", json!({})).await;
    assert_eq!(problem(session, 412).await["reason"], "NO_SESSION");
    let beta = json!({"id": "beta"});
    root.post("/api/v1/tenants", beta).await;
    let other = ask(&api, &admin, Method::GET, "/api/v1/tenants/beta/users", Value::Null).await;
    problem(other, 403).await;

    // The owner is no administrator any more: neither are the keys.
    let of_bob = format!("/api/v1/admin/users/{bob_id}");
    ann.patch(&of_bob, json!({"is_superuser": false})).await;
    doors_become(&api, ("x-api-key", &member), 403).await;
    assert_eq!(users(&admin).await, 403);
    ann.post("/api/v1/admin/orgs/hq/members", json!({"user_id": bob_id})).await;
    doors_become(&api, ("x-api-key", &member), 200).await;
    ann.patch(&of_bob, json!({"is_active": false})).await;
    doors_become(&api, ("x-api-key", &member), 401).await;
    ann.patch(&of_bob, json!({"is_active": true})).await;
    doors_become(&api, ("x-api-key", &member), 200).await;
    ann.ok(Method::DELETE, &of_bob, Value::Null).await;
    doors_become(&api, ("x-api-key", &member), 401).await;
    assert!(fields(&ann.get(KEYS).await, "id").is_empty(), "its keys are gone with a user");
}

#[tokio::test]
async fn keys_are_managed_at_the_command_line_and_used_there() {
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    let run = async |token: &str, line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        env.cli(&words, &[("YUANTUS_SERVER", &*api.url), ("YUANTUS_TOKEN", token)], "").await
    };
    let create = "apikey create acme ci --role tenant_admin --days 90 -o name";
    let made = run(&root.token, create).await.succeeded();
    let secret = made.text().trim().to_owned();
    assert!(made.stderr.contains("not shown again"), "{}", made.stderr);
    let listed = run(&secret, "apikey list acme -o json").await.succeeded();
    assert!(!listed.text().contains(&secret));
    let listed: Value = serde_json::from_str(listed.text()).expect("JSON");
    assert_eq!((&listed[0]["name"], &listed[0]["role"]), (&json!("ci"), &json!("tenant_admin")));
    let id = listed[0]["id"].as_str().expect("id");
    run(&root.token, &format!("apikey revoke acme {id}")).await.succeeded();
    let over = async { while run(&secret, "user list acme").await.code == Some(0) {} };
    tokio::time::timeout(crate::people::SOON, over).await.expect("the key is over");
}
