//! Requests and refusals in the audit trail, and what lists show of it.

use reqwest::Client;
use serde_json::{Value, json};
use yuantus_proto::v1;
use yuantus_test_support::{Api, TestEnv};

use crate::{
    audit_chain::{count, verify},
    authentication::{ADMIN_PASSWORD, call, locked, login},
    quiet::assert_quiet,
};

async fn items(http: &Client, api: &Api, query: &str, token: Option<&str>) -> Value {
    let get = http.get(format!("{}/api/v1/admin/audit?{query}", api.url));
    let get = match token {
        Some(token) => get.bearer_auth(token),
        None => get,
    };
    let answer = get.send().await.expect("answer").error_for_status().expect("list");
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn every_request_is_written_down_when_it_is_asked_for() {
    let env = TestEnv::start().await;
    let mut api = env.api_with(&[("YUANTUS_AUDIT_ENABLED", "true")]).await;
    let http = Client::new();
    let health = http.get(format!("{}/api/v1/health", api.url)).header("x-request-id", "probe-1");
    let health = health.header("user-agent", "curl/8").send().await.expect("answer");
    let about: Value = health.json().await.expect("JSON");
    assert_eq!(about["audit_enabled"], json!(true));
    let missing = http.get(format!("{}/api/v1/tenants/none", api.url)).send().await;
    assert_eq!(missing.expect("answer").status(), 404);
    let request = v1::GetTenantRequest { tenant_id: "nobody".into() };
    api.tenants().get_tenant(request).await.expect_err("no such tenant");

    let found = items(&http, &api, "path=/api/v1/health&limit=1", None).await;
    let item = &found["items"][0];
    let shown = ["method", "path", "status_code", "client_ip", "user_agent", "request_id"];
    let shown: Vec<&Value> = shown.iter().map(|field| &item[field]).collect();
    let expected = json!(["GET", "/api/v1/health", 200, "127.0.0.1", "curl/8", "probe-1"]);
    assert_eq!(json!(shown), expected, "{found}");
    let about = [&item["action"], &item["tenant_id"], &item["error"]];
    assert_eq!(json!(about), json!(["request", "platform", ""]));
    assert!(item["duration_ms"].is_i64() && item["id"].is_i64(), "{item}");

    let found = items(&http, &api, "status_code=404", None).await;
    assert_eq!(found["total"], json!(2), "{found}");
    let paths = [&found["items"][0]["path"], &found["items"][1]["path"]];
    let grpc = "/yuantus.controlplane.v1.TenantService/GetTenant";
    assert_eq!(json!(paths), json!([grpc, "/api/v1/tenants/none"]));
    for (item, id) in [(0, "nobody"), (1, "none")] {
        assert_eq!(found["items"][item]["error"], json!(format!("tenant `{id}` not found")));
    }
    let one = items(&http, &api, "status_code=404&limit=1&offset=1", None).await;
    assert_eq!((&one["items"][0], &one["total"]), (&found["items"][1], &json!(2)));
    assert_eq!(items(&http, &api, "until=2020-01-01", None).await["total"], json!(0));
    assert_eq!(items(&http, &api, "since=2100-01-01T00:00:00Z", None).await["total"], json!(0));
    assert!(
        items(&http, &api, "action=request&method=get", None).await["total"].as_i64() > Some(2)
    );

    // What waits to be written when the process is told to stop is written.
    reqwest::get(format!("{}/healthz?last", api.url)).await.expect("answer");
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
    let sql = "SELECT count(*) FROM audit_logs WHERE path = '/healthz'";
    assert_eq!(count(&mut env.identity().await, sql).await, 1);
    let api = env.api().await;
    assert_eq!(verify(&api, "platform").await["ok"], json!(true));
}

#[tokio::test]
async fn refusals_are_written_down_together_and_lists_keep_to_the_tenant() {
    let env = locked().await;
    let mut api = env.api().await;
    let http = Client::new();
    let platform = login(&api, "platform", "root", ADMIN_PASSWORD).await;
    for tenant in ["acme", "beta"] {
        let request = json!({"id": tenant, "admin_username": "ann",
            "admin_password": format!("the password of {tenant}")});
        call(&api, Some(&platform), "CreateTenant", request).await.expect("tenant");
    }
    let ann = login(&api, "acme", "ann", "the password of acme").await;
    for number in 0..12 {
        let get = http.get(format!("{}/api/v1/tenants", api.url));
        assert_eq!(get.send().await.expect("answer").status(), 401);
        let get = http.get(format!("{}/api/v1/tenants", api.url)).bearer_auth(&ann);
        assert_eq!(get.send().await.expect("answer").status(), 403);
        let tenant = if number % 2 == 0 { "acme" } else { "no-such-tenant" };
        let request = json!({"tenant_id": tenant, "username": "ann", "password": "wrong"});
        call(&api, None, "Login", request).await.expect_err("a wrong password");
    }
    let total = |found: &Value| -> i64 {
        let items = found["items"].as_array().expect("items").iter();
        items.map(|item| item["details"]["count"].as_f64().map_or(1, |n| n as i64)).sum()
    };
    for (query, expected) in [
        ("action=denied&tenant_id=acme", 12),
        ("action=denied&tenant_id=platform", 12),
        ("action=login.fail&tenant_id=acme", 6),
        ("action=fail&tenant_id=platform", 6),
        ("action=create&resource_type=tenant&tenant_id=acme", 1),
        ("action=create&resource_type=org&tenant_id=acme", 0),
    ] {
        let found = items(&http, &api, query, Some(&platform)).await;
        assert_eq!(total(&found), expected, "{query}: {found}");
    }
    let denied = items(&http, &api, "action=denied", Some(&ann)).await;
    let shown = [&denied["items"][0]["actor"], &denied["items"][0]["status_code"]];
    assert_eq!(json!(shown), json!(["acme/ann", 403]), "{denied}");
    let heads = "SELECT count(*) FROM audit_heads WHERE tenant_id = 'no-such-tenant'";
    assert_eq!(count(&mut env.identity().await, heads).await, 0, "nobody makes chains by a name");

    let own = items(&http, &api, "limit=1000", Some(&ann)).await;
    let tenants: Vec<&Value> =
        own["items"].as_array().expect("items").iter().map(|item| &item["tenant_id"]).collect();
    assert!(!tenants.is_empty() && tenants.iter().all(|tenant| **tenant == json!("acme")));
    for path in ["audit-logs?", "admin/audit?", "audit-logs:export?", "admin/audit/retention?"] {
        let get = http.get(format!("{}/api/v1/{path}tenant_id=beta", api.url)).bearer_auth(&ann);
        assert_eq!(get.send().await.expect("answer").status(), 403, "{path}");
    }
    let export = http.get(format!("{}/api/v1/audit-logs:export?action=login", api.url));
    let export = export.header("accept", "application/x-ndjson").bearer_auth(&ann);
    let lines = export.send().await.expect("answer").text().await.expect("lines");
    let lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["action"], "login");
    assert!(lines.iter().all(|line| line["tenant_id"] == "acme"), "{lines:?}");
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}
