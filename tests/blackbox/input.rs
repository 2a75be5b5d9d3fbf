//! What clients may get wrong: every refusal is a clear 4xx that names the
//! field and the rule, the same over gRPC and REST, and nothing is recorded.

use prost_reflect::MethodDescriptor;
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::Row;
use yuantus_proto::{rest::ROUTES, v1};
use yuantus_test_support::{Api, TestEnv};

use crate::{
    authentication::UUID,
    problem::{problem, violation},
    quiet::assert_quiet,
    rpc,
};

/// Ids that no tenant or org has, and the rule each breaks.
fn bad_ids() -> Vec<(String, &'static str)> {
    let alphabet = "may hold lower-case letters, digits, `-` and `_` only";
    let length = "must have 1 to 64 characters";
    let edge = "must begin and end with a letter or digit";
    let ids = [
        ("a__b", "must not hold `__`"),
        ("Tenant", alphabet),
        ("../x", alphabet),
        ("org\"; DROP", alphabet),
        ("é", alphabet),
        ("a\u{0}b", alphabet),
        ("%2e%2e", alphabet),
        ("-a", edge),
        ("a_", edge),
        ("", length),
    ];
    let ids = ids.map(|(id, rule)| (id.to_owned(), rule));
    ids.into_iter().chain([("x".repeat(65), length)]).collect()
}

/// A request in which nothing is wrong.
fn good(method: &MethodDescriptor) -> Value {
    let mut request = json!({});
    for field in method.input().fields() {
        let value = match field.name() {
            "user_id" if method.name() != "AddMember" => {
                request[field.name()] = 1.into();
                continue;
            }
            "tenant_id" | "target_tenant_id" => "acme",
            "org_id" | "target_org_id" | "id" => "hq",
            "backup_id" | "operation_id" | "customer_id" | "file_id" | "session_id"
            | "api_key_id" => UUID,
            "refresh_token" => "yr_nothing",
            "name" => "Ann",
            "area" => "payments",
            "username" => "ann",
            "password" | "current_password" => "secret",
            _ => continue,
        };
        request[field.name()] = value.into();
    }
    request
}

/// Sends `request` both ways and asserts that `field` is said to break `rule`.
async fn refused(http: &Client, api: &Api, method: &MethodDescriptor, request: &Value, what: Rule) {
    let context = format!("{} {request}", method.full_name());
    let headers = headers(method);
    let status = rpc::grpc_with(api, method, request, None, headers).await.expect_err(&context);
    let (field, rule) = violation(&status);
    assert_eq!((&*field, &*rule), (what.field, what.rule), "{context}");
    if request[what.field] == "" && rpc::route(method).template.contains(what.field) {
        return; // Over REST that is a path nobody has.
    }
    let mut asked = rpc::rest(http, api, method, request, None);
    for (name, value) in headers {
        asked = asked.header(*name, *value);
    }
    let document = problem(asked.send().await.expect("answer"), 400).await;
    assert_eq!(document["field"], what.field, "{context}");
    assert_eq!(document["detail"], format!("{} {}", what.field, what.rule), "{context}");
}

/// What says whose an RPC is that has no field for it.
fn headers(method: &MethodDescriptor) -> &'static [(&'static str, &'static str)] {
    match method.input().get_field_by_name("tenant_id") {
        Some(_) => &[],
        None => &[("x-tenant-id", "acme"), ("x-org-id", "hq")],
    }
}

/// A tenant whose org can be used.
async fn acme(env: &TestEnv, api: &Api) {
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&create).await;
    worker.terminate().await;
}

/// A field, and the rule it breaks.
struct Rule {
    field: &'static str,
    rule: &'static str,
}

/// How many rows the tables that requests write to have.
pub async fn rows(env: &TestEnv) -> Vec<i64> {
    let sql = "SELECT count(*) FROM tenants UNION ALL SELECT count(*) FROM orgs
        UNION ALL SELECT count(*) FROM databases UNION ALL SELECT count(*) FROM operations
        UNION ALL SELECT count(*) FROM backups UNION ALL SELECT count(*) FROM users
        UNION ALL SELECT count(*) FROM audit_logs";
    let counts = sqlx::query(sql).fetch_all(&mut env.identity().await).await.expect("counts");
    counts.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn every_bad_field_of_every_rpc_is_named_with_its_rule() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    acme(&env, &api).await;
    let http = Client::new();
    let before = rows(&env).await;
    let mut walked = 0;
    for method in rpc::methods() {
        for field in method.input().fields() {
            for (value, what) in bad_values(&method, field.name()) {
                let mut request = good(&method);
                request[field.name()] = value;
                refused(&http, &api, &method, &request, what).await;
                walked += 1;
            }
        }
    }
    assert!(walked > 400, "only {walked} requests were made");
    assert_eq!(rows(&env).await, before);
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

/// Values that this field of this RPC must refuse.
fn bad_values(method: &MethodDescriptor, field: &str) -> Vec<(Value, Rule)> {
    let of_audit = method.parent_service().name() == "AuditService";
    let optional = match field {
        "target_tenant_id" | "target_org_id" => true,
        "org_id" => {
            ["Login", "ListOperations", "CreateApiKey"].contains(&method.name()) || of_audit
        }
        "tenant_id" => {
            let path = rpc::path(method);
            let mut routes = ROUTES.iter().filter(|route| route.rpc == path);
            of_audit || method.name() != "Login" && routes.any(|r| !r.template.contains("{tenant"))
        }
        _ => false,
    };
    let named = |name: &'static str, values: Vec<(Value, &'static str)>| {
        values.into_iter().map(|(value, rule)| (value, Rule { field: name, rule })).collect()
    };
    let ids = |name: &'static str, new: bool| {
        let ids = bad_ids().into_iter().filter(|(id, _)| !optional || !id.is_empty());
        let reserved = new.then(|| ("platform".to_owned(), "is reserved"));
        named(name, ids.chain(reserved).map(|(id, rule)| (id.into(), rule)).collect())
    };
    let texts = |values: &[&str], rule| values.iter().map(|v| ((*v).into(), rule)).collect();
    match field {
        "id" => ids("id", true),
        "tenant_id" => ids("tenant_id", false),
        "org_id" => ids("org_id", false),
        "area" => ids("area", false),
        "version" => named("version", vec![((-1).into(), "must not be negative")]),
        "expected_version" => {
            named("expected_version", vec![((-1).into(), "must not be negative")])
        }
        "target_tenant_id" => ids("target_tenant_id", true),
        "target_org_id" => ids("target_org_id", true),
        "operation_id" => named("operation_id", texts(&["0197", "a b", "'--"], "must be a UUID")),
        "backup_id" => named("backup_id", texts(&["0197", "latest", "'--"], "must be a UUID")),
        "customer_id" => named("customer_id", texts(&["0197", "1 2", "'--"], "must be a UUID")),
        "api_key_id" => named("api_key_id", texts(&["0197", "a b", "'--"], "must be a UUID")),
        "role" => {
            let rule = "must be member, tenant_admin or platform_admin";
            named("role", texts(&["owner", "Member"], rule))
        }
        "ttl_seconds" => named("ttl_seconds", vec![((-1).into(), "must not be negative")]),
        "name" if method.name() == "CreateApiKey" => {
            let rule = "must have 1 to 64 letters, digits, `.`, `_`, `-`, `@` or `+`";
            named("name", texts(&["", "a b", "key:x"], rule))
        }
        "session_id" => named("session_id", texts(&["0197", "a b", "'--"], "must be a UUID")),
        "refresh_token" => named("refresh_token", texts(&[""], "must not be empty")),
        "file_id" => named("file_id", texts(&["0197", "1 2", "'--"], "must be a UUID")),
        "page_size" => {
            let rule = "must be 1 to 1000";
            named("page_size", [-1, 1001, i32::MIN].map(|n| (n.into(), rule)).to_vec())
        }
        "limit" => {
            let rule = "must be 1 to 1000";
            named("limit", [-1, 1001].map(|n| (n.into(), rule)).to_vec())
        }
        "offset" => {
            let rule = "must be 0 to 100000";
            named("offset", [-1, 100_001].map(|n| (n.into(), rule)).to_vec())
        }
        "user_id" if of_audit => named("user_id", vec![((-1).into(), "must not be negative")]),
        "status_code" => named("status_code", vec![((-1).into(), "must not be negative")]),
        "action" | "resource_type" | "target" | "method" | "path" if of_audit => {
            let rule = "must have at most 1024 bytes and no control characters";
            let names = ["action", "resource_type", "target", "method", "path"];
            let name = names.into_iter().find(|n| *n == field);
            named(name.expect("one of them"), texts(&["a\u{0}b", &"x".repeat(1025)], rule))
        }
        "since" | "until" => {
            let rule = "must be a time such as 2026-01-31T12:00:00Z, or a date, since 1970";
            let name = if field == "since" { "since" } else { "until" };
            let odd = ["yesterday", "1", "2026-13-01", "1969-12-31", "2026-01-01T25:00:00"];
            named(name, texts(&odd, rule))
        }
        "timeout_seconds" => {
            let rule = "must be 1 to 300";
            named("timeout_seconds", [-1, 301].map(|n| (n.into(), rule)).to_vec())
        }
        "request_id" => {
            let rule = "must have 1 to 128 printable characters";
            named("request_id", texts(&["a b", "é", &"k".repeat(129)], rule))
        }
        "name" => {
            let rule = "must have at most 200 characters and no control ones";
            named("name", texts(&["a\u{0}b", &"n".repeat(201)], rule))
        }
        "plan" => named("plan", texts(&["gold"], "must be basic, pro or enterprise")),
        "type" => named("type", texts(&["Nothing"], "must be a type of operations")),
        "username" => {
            let rule = "must have 1 to 64 letters, digits, `.`, `_`, `-`, `@` or `+`";
            let missing = (method.name() != "AddMember").then_some("");
            let odd = ["a b", "a\u{0}b"].into_iter().chain(missing);
            named("username", texts(&odd.collect::<Vec<_>>(), rule))
        }
        "email" if method.parent_service().name() == "AuthService" => {
            let rule = "must not be given beside username";
            named("email", texts(&["a@b"], rule))
        }
        "email" if method.parent_service().name() == "UserService" => {
            let rule = "must be an e-mail address of at most 254 bytes";
            named("email", texts(&["ann", "a@b@c", "a b@c"], rule))
        }
        "password" => named("password", texts(&[""], "must not be empty")),
        "current_password" => named("current_password", texts(&[""], "must not be empty")),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn page_tokens_of_no_list_are_refused() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    acme(&env, &api).await;
    let http = Client::new();
    let lists = rpc::methods().into_iter().filter(|m| m.name().starts_with("List"));
    let lists = lists.filter(|m| m.input().get_field_by_name("page_token").is_some());
    for method in lists {
        // Not hex; hex of what is no text; hex of text that no list gives.
        for token in ["zz", "0", "ff", "00", "2d2d", "c3a9"] {
            let mut request = good(&method);
            request["page_token"] = token.into();
            let rule = "must be a next_page_token of this list";
            refused(&http, &api, &method, &request, Rule { field: "page_token", rule }).await;
        }
    }
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn fields_that_only_go_together_are_refused_alone() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    acme(&env, &api).await;
    let http = Client::new();
    let before = rows(&env).await;
    let find = |name: &str| rpc::methods().into_iter().find(|m| m.name() == name).expect(name);
    let create = find("CreateTenant");
    for (request, field, rule) in [
        (json!({"admin_password": "secret"}), "admin_username", "is required with admin_password"),
        (json!({"admin_email": "a@b"}), "admin_username", "is required with admin_email"),
        (json!({"admin_username": "ann"}), "admin_password", "is required with admin_username"),
        (
            json!({"admin_username": "ann", "admin_password": "x".repeat(1025)}),
            "admin_password",
            "must have at most 1024 bytes",
        ),
        (
            json!({"admin_username": "ann", "admin_password": "x", "admin_email": "a\u{0}b"}),
            "admin_email",
            "must have at most 254 characters and no control ones",
        ),
    ] {
        let mut request = request;
        request["id"] = "acme".into();
        refused(&http, &api, &create, &request, Rule { field, rule }).await;
    }
    let request = json!({"org_id": "hq"});
    let what = Rule { field: "tenant_id", rule: "is required with org_id" };
    refused(&http, &api, &find("ListOperations"), &request, what).await;
    let unknown = v1::ListOperationsRequest { state: 77, ..Default::default() };
    let status = api.operations().list_operations(unknown).await.expect_err("state");
    assert_eq!(violation(&status).0, "state");
    assert_eq!(rows(&env).await, before);
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn policies_that_cannot_be_kept_are_refused() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    let before = rows(&env).await;
    let url = format!("{}/api/v1/tenants/acme/policies/payments", api.url);
    let nul = "must not hold the character U+0000";
    for (policy, rule) in [
        (json!({"a": "\u{0}"}), nul),
        (json!({"a": [{"b\u{0}": 1}]}), nul),
        (json!({"a": "x".repeat(65536)}), "must have at most 65536 bytes"),
    ] {
        let answer = Client::new().put(&url).json(&json!({"policy": policy})).send().await;
        let refused = problem(answer.expect("answer"), 400).await;
        assert_eq!(
            (&refused["field"], &refused["detail"]),
            (&json!("policy"), &json!(format!("policy {rule}")))
        );
    }
    assert_eq!(rows(&env).await, before);
    // Every other comes back as it was.
    let policy = json!({"": [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 0.1, 1e-210, -0.5],
        "\u{1}\u{10ffff}\"\\": {"a": [null, true, [], {}, "ü"]}});
    let answer = Client::new().put(&url).json(&json!({"policy": policy})).send().await;
    assert_eq!(answer.expect("answer").status(), 200);
    let kept: Value = reqwest::get(&url).await.expect("answer").json().await.expect("JSON");
    assert_eq!(kept["policy"], policy);
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}
