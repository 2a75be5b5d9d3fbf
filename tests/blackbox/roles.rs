//! The capability matrix of the user manual (000, 3.2), row by row over REST:
//!
//! | Role | Tenant create | Tenant delete/purge | Tenant policy update | Read audit |
//! |---|---|---|---|---|
//! | Platform Owner | yes | yes | yes | yes; may impersonate by `X-Tenant-ID` |
//! | Tenant Admin | no | no | yes | of the tenant; `X-Tenant-ID` forbidden |

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use yuantus_test_support::Api;

use crate::{
    authentication::{locked, login},
    people::{PASSWORD, Person, tenant_with_ann},
    problem::problem,
    quiet::assert_quiet,
    tidy::assert_tidy,
};

const POLICY: &str = "/api/v1/tenants/payments/policy";

/// A request of somebody that names a tenant in its header.
async fn within(
    api: &Api,
    token: &str,
    tenant: &str,
    (method, path): (Method, &str),
    body: Value,
) -> Response {
    let request = Client::new().request(method, format!("{}{path}", api.url));
    let request = request.bearer_auth(token).header("x-tenant-id", tenant);
    let request = if body.is_null() { request } else { request.json(&body) };
    request.send().await.expect("answer")
}

/// What of the audit trail somebody sees, and whose it is.
async fn audited(person: &Person<'_>, query: &str) -> Vec<(String, String)> {
    let list = person.get(&format!("/api/v1/audit-logs?page_size=1000&{query}")).await;
    let logs = list["audit_logs"].as_array().expect("audit logs").clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    logs.iter().map(|log| (text(&log["tenant_id"]), text(&log["action"]))).collect()
}

#[tokio::test]
async fn a_platform_owner_may_do_what_the_matrix_says() {
    let env = locked().await;
    let mut api = env.api().await;
    let root = Person::root(&api).await;
    // Tenant create.
    for tenant in ["acme", "beta"] {
        tenant_with_ann(&api, &root, tenant).await;
    }
    let tenants = root.get("/api/v1/tenants?with_total=true").await;
    assert_eq!(
        (tenants["total"].clone(), tenants["tenants"][1]["id"].clone()),
        (json!(2), json!("beta"))
    );
    // A policy has a tenant: without one there is nothing to change.
    let (reason, _) = root.refused(Method::PUT, POLICY, json!({"daily": 1}), 400).await;
    assert_eq!(reason, "MISSING_CONTEXT");
    // Tenant policy update, as the tenant.
    let put = (Method::PUT, POLICY);
    let policy = within(&api, &root.token, "acme", put, json!({"daily": 1})).await;
    assert_eq!(policy.status(), 200);
    let policy: Value = policy.json().await.expect("JSON");
    assert_eq!((&policy["tenant_id"], &policy["version"]), (&json!("acme"), &json!(1)));
    assert_eq!(policy["created_by"], "platform/root");
    // Read audit: all of it, the impersonation included.
    let all = audited(&root, "").await;
    for expected in [
        ("acme", "tenant.create"),
        ("beta", "tenant.create"),
        ("acme", "tenant.impersonate"),
        ("acme", "policy.update"),
    ] {
        let expected = (expected.0.to_owned(), expected.1.to_owned());
        assert!(all.contains(&expected), "{expected:?} in {all:?}");
    }
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_tenant_admin_may_do_what_the_matrix_says() {
    let env = locked().await;
    let mut api = env.api().await;
    let root = Person::root(&api).await;
    for tenant in ["acme", "beta"] {
        tenant_with_ann(&api, &root, tenant).await;
    }
    let ann = Person::user(&api, "acme", "ann").await;
    // Tenant create, list and change: by no route.
    let new = json!({"id": "mine"});
    for (method, path, body) in [
        (Method::POST, "/api/v1/tenants", new.clone()),
        (Method::GET, "/api/v1/tenants", Value::Null),
        (Method::POST, "/api/v1/admin/tenants", new.clone()),
        (Method::GET, "/api/v1/admin/tenants", Value::Null),
        (Method::POST, "/api/admin/tenants/provision", json!({"name": "Mine"})),
        (Method::GET, "/api/admin/tenants", Value::Null),
        (Method::POST, "/api/admin/tenants/restore", json!({})),
        // Tenant delete: what takes it out of service is the owner's alone.
        (Method::PATCH, "/api/v1/tenants/acme", json!({"is_active": false})),
        (Method::PATCH, "/api/v1/admin/tenants/acme", json!({"is_active": false})),
        // Another tenant's things.
        (Method::GET, "/api/v1/tenants/beta/policies/payments", Value::Null),
        (Method::PUT, "/api/v1/tenants/beta/policies/payments", json!({"policy": {}})),
        (Method::GET, "/api/tenants/export?tenantId=beta", Value::Null),
        (Method::GET, "/api/v1/audit-logs?tenant_id=beta", Value::Null),
    ] {
        ann.refused(method, path, body, 403).await;
    }
    // Tenant policy update, versioned.
    let first = ann.ok(Method::PUT, POLICY, json!({"daily": 1})).await;
    let again = ann.ok(Method::PUT, POLICY, json!({"daily": 1})).await;
    let second = ann.ok(Method::PUT, POLICY, json!({"daily": 2, "to": ["a"]})).await;
    assert_eq!((&first["version"], &again, &second["version"]), (&json!(1), &first, &json!(2)));
    assert_eq!(ann.get(POLICY).await, second);
    assert_eq!(ann.get(&format!("{POLICY}?version=1")).await, first);
    let canonical = "/api/v1/tenants/acme/policies/payments";
    assert_eq!(ann.get(canonical).await, second);
    let stale = json!({"policy": {"daily": 3}, "expected_version": 1});
    let (reason, _) = ann.refused(Method::PUT, canonical, stale, 409).await;
    assert_eq!(reason, "CONFLICT");
    let large = json!({"text": "x".repeat(65_536)});
    ann.refused(Method::PUT, POLICY, large, 400).await;
    ann.refused(Method::GET, "/api/v1/tenants/refunds/policy", Value::Null, 404).await;
    // Read audit, tenant-scoped.
    let own = audited(&ann, "").await;
    assert!(own.iter().all(|(tenant, _)| tenant == "acme"), "{own:?}");
    let updates = own.iter().filter(|(_, action)| action == "policy.update").count();
    assert_eq!(updates, 2, "one for each version: {own:?}");
    // X-Tenant-ID is forbidden.
    for (method, path) in [(Method::GET, "/api/v1/admin/users"), (Method::PUT, POLICY)] {
        let body = if method == Method::PUT { json!({"daily": 9}) } else { Value::Null };
        let answer = within(&api, &ann.token, "beta", (method, path), body).await;
        assert_eq!(problem(answer, 403).await["reason"], "TENANT_MISMATCH");
    }
    let beta = login(&api, "beta", "ann", PASSWORD).await;
    let beta = Person::with(&api, beta);
    beta.refused(Method::GET, POLICY, Value::Null, 404).await;
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}
