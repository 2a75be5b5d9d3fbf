//! REST bodies and queries that are not the message: refused as problem
//! documents, and nothing is recorded.

use reqwest::{Client, Method, header};
use serde_json::{Value, json};
use tonic::Code;
use yuantus_proto::v1;
use yuantus_test_support::{Api, TestEnv};

use crate::{input::rows, problem::problem, quiet::assert_quiet};

/// Bodies that are no `CreateTenantRequest`.
fn not_the_message() -> Vec<String> {
    let deep = format!(r#"{{"id":{}"acme"{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let bodies = [
        "{",
        "nonsense",
        "[]",
        "null",
        "\"acme\"",
        "7",
        r#"{"id":7}"#,
        r#"{"id":["acme"]}"#,
        r#"{"id":{"a":1}}"#,
        r#"{"id":"acme","id":"acme"}"#,
        r#"{"id":"acme"} {"id":"acme"}"#,
        r#"{"id":"acme","name":"\ud800"}"#,
        &deep,
    ];
    bodies.map(str::to_owned).into()
}

#[tokio::test]
async fn bodies_that_are_not_the_message_are_refused() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let http = Client::new();
    let before = rows(&env).await;
    let post = async |body: &str| {
        let request = http.post(format!("{}/api/v1/tenants", api.url)).body(body.to_owned());
        request.header(header::CONTENT_TYPE, "application/json").send().await.expect("answer")
    };
    for body in not_the_message() {
        let document = problem(post(&body).await, 400).await;
        assert_eq!(document["code"], "INVALID_ARGUMENT", "{document}");
    }
    for (body, field) in [(r#"{"id":"acme","bogus":1}"#, "bogus"), (r#"{"tenant":"a"}"#, "tenant")]
    {
        let document = problem(post(body).await, 400).await;
        assert_eq!(document["field"], field, "{document}");
    }
    let text = http.post(format!("{}/api/v1/tenants", api.url)).body(r#"{"id":"acme"}"#);
    assert_eq!(problem(text.send().await.expect("answer"), 415).await["reason"], "NOT_JSON");

    let name = "x".repeat(1 << 20);
    let large = json!({"id": "acme", "name": name}).to_string();
    assert_eq!(problem(post(&large).await, 413).await["reason"], "BODY_TOO_LARGE");
    let large = v1::CreateTenantRequest { id: "acme".into(), name, ..Default::default() };
    let status = api.tenants().create_tenant(large).await.expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert_eq!(rows(&env).await, before);
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn queries_that_are_not_the_message_are_refused() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let http = Client::new();
    let before = rows(&env).await;
    for (query, field) in [
        ("page_size=many", Some("page_size")),
        ("page_size=", Some("page_size")),
        ("page_size=1&page_size=2", Some("page_size")),
        ("page_sise=3", Some("page_sise")),
        ("page_size=1001", Some("page_size")),
    ] {
        let answer = http.get(format!("{}/api/v1/tenants?{query}", api.url)).send().await;
        let document = problem(answer.expect("answer"), 400).await;
        assert_eq!(document["code"], "INVALID_ARGUMENT", "{query}: {document}");
        assert_eq!(document.get("field").and_then(Value::as_str), field, "{query}: {document}");
    }
    let url = format!("{}/api/v1/tenants?id=other", api.url);
    let both = http.post(url).json(&json!({"id": "acme"})).send().await.expect("answer");
    assert_eq!(problem(both, 400).await["reason"], "QUERY_BESIDE_BODY");
    assert_eq!(rows(&env).await, before);
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

/// Sends a request and shows the problem that it is answered with.
async fn ask(api: &Api, method: Method, path: &str, body: Option<Value>) -> String {
    let request = Client::new().request(method, format!("{}{path}", api.url));
    let request = request.header("x-request-id", "the-request");
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = request.send().await.expect("answer");
    assert_eq!(answer.headers()["x-request-id"], "the-request");
    let status = answer.status().as_u16();
    let allow = answer.headers().get(header::ALLOW).cloned();
    let document = problem(answer, status).await;
    let allow = allow.map(|allow| format!("Allow: {}\n", allow.to_str().expect("text")));
    let pretty = serde_json::to_string_pretty(&document).expect("JSON");
    format!("{}{pretty}", allow.unwrap_or_default())
}

#[tokio::test]
async fn problems_read_well() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let orgs = "/api/v1/tenants/acme/orgs";
    let bad_id = ask(&api, Method::POST, "/api/v1/tenants", Some(json!({"id": "a__b"}))).await;
    insta::assert_snapshot!(bad_id, @r#"
    {
      "code": "INVALID_ARGUMENT",
      "detail": "id must not hold `__`",
      "field": "id",
      "reason": "INVALID_ARGUMENT",
      "request_id": "the-request",
      "status": 400,
      "title": "Bad Request",
      "type": "about:blank"
    }
    "#);
    let no_tenant = ask(&api, Method::POST, orgs, Some(json!({"id": "hq"}))).await;
    insta::assert_snapshot!(no_tenant, @r#"
    {
      "code": "NOT_FOUND",
      "detail": "tenant `acme` not found",
      "reason": "NOT_FOUND",
      "request_id": "the-request",
      "status": 404,
      "title": "Not Found",
      "type": "about:blank"
    }
    "#);
    let mistyped = ask(&api, Method::POST, orgs, Some(json!({"id": "hq", "nmae": 1}))).await;
    insta::assert_snapshot!(mistyped, @r#"
    {
      "code": "INVALID_ARGUMENT",
      "detail": "request did not match the expected message: unknown field `nmae`, expected one of `tenant_id`, `tenantId`, `id`, `name`, `request_id`, `requestId` at line 1 column 17",
      "field": "nmae",
      "reason": "INVALID_ARGUMENT",
      "request_id": "the-request",
      "status": 400,
      "title": "Bad Request",
      "type": "about:blank"
    }
    "#);
    insta::assert_snapshot!(ask(&api, Method::DELETE, orgs, None).await, @r#"
    Allow: POST, GET, HEAD
    {
      "code": "UNIMPLEMENTED",
      "detail": "this path has POST, GET, HEAD",
      "reason": "METHOD_NOT_ALLOWED",
      "request_id": "the-request",
      "status": 405,
      "title": "Method Not Allowed",
      "type": "about:blank"
    }
    "#);
    insta::assert_snapshot!(ask(&api, Method::GET, "/api/v1/tenant", None).await, @r#"
    {
      "code": "NOT_FOUND",
      "detail": "there is nothing at this path",
      "reason": "NO_SUCH_ROUTE",
      "request_id": "the-request",
      "status": 404,
      "title": "Not Found",
      "type": "about:blank"
    }
    "#);
}

#[tokio::test]
async fn a_field_that_is_null_is_one_that_is_not_given() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let http = Client::new();
    let send = async |method: Method, path: &str, body: Value| -> (u16, Value) {
        let request = http.request(method, format!("{}{path}", api.url)).json(&body);
        let answer = request.send().await.expect("answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    };
    let tenant = json!({"id": "acme", "name": null, "plan": null, "admin_username": "ann",
        "admin_password": "the password of ann", "admin_email": null, "request_id": null});
    let (status, acme) = send(Method::POST, "/api/v1/tenants", tenant).await;
    assert_eq!((status, &acme["name"], &acme["plan"]), (200, &json!("acme"), &json!("basic")));
    let login = json!({"tenant_id": "acme", "username": "ann", "email": null, "org_id": null,
        "password": "the password of ann"});
    assert_eq!(send(Method::POST, "/api/v1/auth/login", login).await.0, 200);
    let bare = json!({"id": "beta", "name": null, "is_active": null, "create_default_org": false,
        "default_org_id": null, "admin_username": null});
    let (status, beta) = send(Method::POST, "/api/v1/admin/tenants", bare).await;
    assert_eq!((status, &beta["is_active"]), (200, &json!(true)), "{beta}");
    let (status, same) =
        send(Method::PATCH, "/api/v1/tenants/acme", json!({"name": null, "is_active": null})).await;
    assert_eq!((status, &same["name"]), (200, &json!("acme")));
    // What is the client's own stays as it is.
    let policy = json!({"limit": null, "days": [null, 1]});
    let path = "/api/v1/tenants/acme/policies/payments";
    let (status, kept) = send(Method::PUT, path, json!({"policy": policy})).await;
    assert_eq!((status, &kept["policy"]), (200, &json!({"limit": null, "days": [null, 1.0]})));
    let (status, missing) = send(Method::POST, "/api/v1/tenants", json!({"id": null})).await;
    assert_eq!((status, &missing["field"]), (400, &json!("id")));
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}
