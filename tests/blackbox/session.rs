//! Sessions: what a login opened, kept alive by refresh tokens, and over
//! everywhere as soon as somebody ends it.

use std::{fs, os::unix::fs::PermissionsExt};

use reqwest::Method;
use serde_json::{Value, json};
use yuantus_test_support::{Api, TestEnv};

use crate::{
    authentication::{ADMIN_PASSWORD, locked},
    people::{
        PASSWORD, Person, doors, doors_become, fields, org_without_database, tenant_with_ann,
    },
    problem::problem,
    quiet::assert_quiet,
};

const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/auth/refresh";
const SESSIONS: &str = "/api/v1/auth/sessions";

/// The tenant acme with its administrator ann and the org hq.
async fn acme<'a>(env: &TestEnv, api: &'a Api) -> Person<'a> {
    let root = Person::root(api).await;
    tenant_with_ann(api, &root, "acme").await;
    org_without_database(env, "acme", "hq").await;
    Person::user(api, "acme", "ann").await
}

/// What a login answers.
async fn log_in(api: &Api, username: &str, password: &str) -> Value {
    let request = json!({"tenant_id": "acme", "username": username, "password": password});
    Person::with(api, "").post(LOGIN, request).await
}

fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().expect(field).to_owned()
}

async fn open_door(api: &Api, answer: &Value) -> u16 {
    doors(api, ("authorization", &format!("Bearer {}", text(answer, "access_token")))).await
}

async fn closes(api: &Api, answer: &Value) {
    let bearer = format!("Bearer {}", text(answer, "access_token"));
    doors_become(api, ("authorization", &bearer), 401).await;
}

async fn actions(env: &TestEnv, like: &str) -> Vec<String> {
    let sql = "SELECT action FROM audit_logs WHERE action LIKE $1 ORDER BY id";
    let found = sqlx::query_scalar(sql).bind(like).fetch_all(&mut env.identity().await).await;
    found.expect("audit")
}

#[tokio::test]
async fn a_session_that_is_refreshed_too_often_waits_and_loses_nothing() {
    let env = locked().await;
    let limit = [("YUANTUS_AUTH__LOGIN_ATTEMPTS_PER_ACCOUNT", "3")];
    let api = env.api_with(&limit).await;
    acme(&env, &api).await;
    let mut last = log_in(&api, "ann", PASSWORD).await;
    let refresh = async |answer: &Value| {
        let body = json!({"refresh_token": text(answer, "refresh_token")});
        Person::with(&api, "").send(Method::POST, REFRESH, &body).await
    };
    for _ in 0..3 {
        last = refresh(&last).await.json().await.expect("JSON");
    }
    let refused = refresh(&last).await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(problem(refused, 429).await["reason"], "TOO_MANY_LOGINS");
    let other = log_in(&api, "ann", PASSWORD).await;
    assert_eq!(refresh(&other).await.status(), 200, "another session");
    assert_eq!(open_door(&api, &last).await, 200);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_used_again_ends_the_session() {
    let env = locked().await;
    let mut api = env.api().await;
    acme(&env, &api).await;
    let nobody = Person::with(&api, "");
    let first = log_in(&api, "ann", PASSWORD).await;
    assert_eq!((&first["token_type"], &first["tenant_id"]), (&json!("bearer"), &json!("acme")));
    let refresh = async |answer: &Value| {
        nobody.post(REFRESH, json!({"refresh_token": text(answer, "refresh_token")})).await
    };
    let second = refresh(&first).await;
    let third = refresh(&second).await;
    assert_ne!(second["refresh_token"], third["refresh_token"]);
    for answer in [&first, &second, &third] {
        assert_eq!(open_door(&api, answer).await, 200, "all tokens of a session are good");
    }
    let mine = Person::with(&api, text(&third, "access_token"));
    assert_eq!(mine.get(SESSIONS).await["items"].as_array().expect("items").len(), 2);
    let other = log_in(&api, "ann", PASSWORD).await;

    let stolen = json!({"refresh_token": text(&second, "refresh_token")});
    let (_, detail) = nobody.refused(Method::POST, REFRESH, stolen, 401).await;
    assert_eq!(detail, "the refresh token is not valid");
    for answer in [&first, &second, &third] {
        closes(&api, answer).await;
    }
    for refresh in
        [text(&third, "refresh_token"), "yr_nothing".into(), text(&third, "access_token")]
    {
        let refresh = json!({"refresh_token": refresh});
        nobody.refused(Method::POST, REFRESH, refresh, 401).await;
    }
    assert_eq!(open_door(&api, &other).await, 200, "another session goes on");
    assert_eq!(actions(&env, "session.refresh").await.len(), 2);
    assert_eq!(actions(&env, "session.reuse").await.len(), 1);
    // Nothing that could be used is kept.
    let sql = "SELECT string_agg(r::text, ' ') FROM refresh_tokens r";
    let kept: String =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect(sql);
    assert!(!kept.contains(&text(&third, "refresh_token")));
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn who_logs_out_or_is_put_out_is_out_everywhere_at_once() {
    let env = locked().await;
    let api = env.api().await;
    let ann = acme(&env, &api).await;
    let user = json!({"username": "bob", "password": PASSWORD, "is_superuser": true});
    let bob = ann.post("/api/v1/admin/users", user.clone()).await["id"].clone();
    let of_bob = format!("/api/v1/admin/users/{bob}");
    let enter = async || {
        let answer = log_in(&api, "bob", PASSWORD).await;
        assert_eq!(open_door(&api, &answer).await, 200);
        answer
    };

    let (one, two) = (enter().await, enter().await);
    Person::with(&api, text(&one, "access_token")).post("/api/v1/auth/logout", json!({})).await;
    closes(&api, &one).await;
    let over = json!({"refresh_token": text(&one, "refresh_token")});
    Person::with(&api, "").refused(Method::POST, REFRESH, over, 401).await;
    assert_eq!(open_door(&api, &two).await, 200);

    let three = enter().await;
    let me = Person::with(&api, text(&three, "access_token"));
    let listed = me.get(SESSIONS).await;
    assert_eq!(fields(&listed, "is_current"), [&json!(true), &json!(false)], "newest first");
    assert_eq!(fields(&listed, "client_ip"), [&json!("127.0.0.1"), &json!("127.0.0.1")]);
    let page = me.get(&format!("{SESSIONS}?page_size=1")).await;
    let next = format!("{SESSIONS}?page_size=1&page_token={}", text(&page, "next_page_token"));
    assert_eq!(fields(&me.get(&next).await, "id"), [fields(&listed, "id")[1]]);
    let older = format!("{SESSIONS}/{}", fields(&listed, "id")[1].as_str().expect("id"));
    ann.refused(Method::DELETE, &older, Value::Null, 404).await;
    me.ok(Method::DELETE, &older, Value::Null).await;
    closes(&api, &two).await;
    me.refused(Method::DELETE, &older, Value::Null, 404).await;

    let listed = ann.get(&format!("{of_bob}/sessions")).await;
    let id = fields(&listed, "id")[0].clone();
    let revoke = format!("{of_bob}/sessions:revoke");
    assert_eq!(ann.post(&revoke, json!({"session_id": id})).await["ended"], 1);
    closes(&api, &three).await;
    let (one, two) = (enter().await, enter().await);
    assert_eq!(ann.post(&revoke, json!({})).await["ended"], 2);
    closes(&api, &one).await;
    closes(&api, &two).await;

    let one = enter().await;
    ann.post(&format!("{of_bob}/reset-password"), json!({"password": PASSWORD})).await;
    closes(&api, &one).await;
    let one = enter().await;
    ann.patch(&of_bob, json!({"is_active": false})).await;
    closes(&api, &one).await;
    ann.patch(&of_bob, json!({"is_active": true})).await;
    assert_eq!(open_door(&api, &one).await, 401, "who may come in again has to log in");
    let one = enter().await;
    ann.ok(Method::DELETE, &of_bob, Value::Null).await;
    closes(&api, &one).await;
    assert_eq!(actions(&env, "logout").await.len(), 1);
    assert_eq!(
        actions(&env, "session.revoke%").await,
        ["session.revoke", "session.revoke", "session.revoke_all"]
    );
}

#[tokio::test]
async fn a_session_that_nobody_could_tell_is_over_is_refused_too() {
    let env = locked().await;
    let api = env.api().await;
    acme(&env, &api).await;
    let answer = log_in(&api, "ann", PASSWORD).await;
    assert_eq!(open_door(&api, &answer).await, 200);
    // The listener is cut off, and in the same moment all sessions ended.
    let cut = "WITH cut AS (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE query LIKE 'LISTEN \"yuantus_context\"%' OR query = 'SELECT 1')
        UPDATE sessions SET revoked_at = now() WHERE EXISTS (SELECT FROM cut)";
    sqlx::query(cut).execute(&mut env.identity().await).await.expect(cut);
    closes(&api, &answer).await;
}

#[tokio::test]
async fn sessions_end_by_themselves_and_are_forgotten() {
    let env = locked().await;
    let short = [
        ("YUANTUS_AUTH__SESSION_TTL_SECONDS", "100"),
        ("YUANTUS_AUTH__SESSION_IDLE_SECONDS", "50"),
    ];
    let api = env.api_with(&short).await;
    acme(&env, &api).await;
    let answer = log_in(&api, "ann", PASSWORD).await;
    let expires_in = answer["expires_in"].as_i64().expect("seconds");
    assert!((1..=50).contains(&expires_in), "a token lasts no longer than its session");
    let mut identity = env.identity().await;
    let sql = "UPDATE sessions SET created_at = now() - interval '70 seconds'";
    sqlx::query(sql).execute(&mut identity).await.expect(sql);
    let refresh = json!({"refresh_token": text(&answer, "refresh_token")});
    let answer = Person::with(&api, "").post(REFRESH, refresh).await;
    let expires_in = answer["expires_in"].as_i64().expect("seconds");
    assert!((1..=30).contains(&expires_in), "nor does a session that is used: {expires_in}");
    let sql = "UPDATE sessions SET expires_at = now() - interval '25 hours'";
    sqlx::query(sql).execute(&mut identity).await.expect(sql);
    let refresh = json!({"refresh_token": text(&answer, "refresh_token")});
    Person::with(&api, "").refused(Method::POST, REFRESH, refresh, 401).await;

    let mut worker = env.worker("w", &[]);
    let forgotten = async {
        let sql = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM refresh_tokens)";
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut identity).await.expect(sql) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, forgotten).await.expect("a worker forgets what is over");
    worker.terminate().await;
}

#[tokio::test]
async fn the_command_line_stays_logged_in_until_it_logs_out() {
    let env = locked().await;
    let api = env.api_with(&[("YUANTUS_AUTH__TOKEN_TTL_SECONDS", "1")]).await;
    let home = env.dir().join("home");
    let profile = home.join(".config/yuantus/config.toml");
    let run = async |line: &str, stdin: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        env.cli(&words, &[], stdin).await
    };
    let login = format!("--server {} login --username root --password-stdin", api.url);
    run(&login, ADMIN_PASSWORD).await.succeeded();
    let kept = || fs::read_to_string(&profile).expect("profile");
    let before = kept();
    // It is always about to end.
    run("tenant list", "").await.succeeded();
    assert_ne!(kept(), before, "the new tokens are kept");
    // Side by side they take turns: nobody comes with a token that was used.
    let (one, two) = tokio::join!(run("tenant list", ""), run("session list -o json", ""));
    one.succeeded();
    let sessions: Value = serde_json::from_str(two.succeeded().text()).expect("JSON");
    assert_eq!(sessions.as_array().expect("list").len(), 1);
    let mode = fs::metadata(&profile).expect("profile").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    run("logout", "").await.succeeded();
    assert!(!kept().contains("yr_"), "no token is kept: {}", kept());
    let sql = "SELECT revoked_reason FROM sessions";
    let reason: String =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect(sql);
    assert_eq!(reason, "logged out");
    let out = run("tenant list", "").await;
    assert!(out.stderr.contains("a bearer token is required"), "{}", out.stderr);
    assert!(run("logout", "").await.succeeded().stderr.contains("not logged in"));
}
