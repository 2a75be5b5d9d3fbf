//! The routes of the runbooks whose shapes are their own: what they answer,
//! and that they are no way around anything.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use yuantus_test_support::TestEnv;

use crate::{
    authentication::{locked, login},
    people::{PASSWORD, Person, fields, tenant_with_ann},
    problem::problem,
    quiet::assert_quiet,
    settle::settle,
    tidy::assert_tidy,
};

const TENANTS: &str = "/api/v1/admin/tenants";

async fn actions(env: &TestEnv, tenant: &str) -> Vec<String> {
    let sql = "SELECT action FROM audit_logs WHERE tenant_id = $1
        AND action NOT IN ('login', 'tenant.impersonate') ORDER BY id";
    let query = sqlx::query_scalar(sql).bind(tenant);
    query.fetch_all(&mut env.identity().await).await.expect("audit")
}

#[tokio::test]
async fn tenants_and_orgs_of_runbook_004() {
    let env = locked().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    let root = Person::root(&api).await;
    let runbook = json!({"tenant_id": "tenant-1", "org_id": "org-1", "admin_username": "admin",
        "admin_password": PASSWORD});
    let made = root.post(TENANTS, runbook.clone()).await;
    assert_eq!((&made["id"], &made["org_id"]), (&json!("tenant-1"), &json!("org-1")));
    assert_eq!((&made["is_active"], &made["status"]), (&json!(true), &json!("ACTIVE")));
    assert_eq!(made["operation"]["state"], "SUCCEEDED");
    assert!(!made.to_string().contains(PASSWORD), "{made}");
    let (reason, _) = root.refused(Method::POST, TENANTS, runbook, 409).await;
    assert_eq!(reason, "ALREADY_EXISTS");
    assert_eq!(actions(&env, "tenant-1").await, ["tenant.create", "org.create"]);

    // The other body; a key makes it safe to repeat.
    let other = json!({"id": "tenant-2", "name": "Two", "is_active": false,
        "create_default_org": true, "default_org_id": "", "plan": "pro"});
    let send = async || {
        let request = Client::new().post(format!("{}{TENANTS}", api.url)).bearer_auth(&root.token);
        let request = request.header("idempotency-key", "k-1").json(&other);
        let answer = request.send().await.expect("answer");
        (answer.status(), answer.json::<Value>().await.expect("JSON"))
    };
    let (status, two) = send().await;
    assert_eq!(status, 200, "{two}");
    assert_eq!((&two["name"], &two["plan"]), (&json!("Two"), &json!("pro")));
    assert_eq!((&two["is_active"], &two["org_id"]), (&json!(false), &json!("default")));
    let before = actions(&env, "tenant-2").await;
    let (status, again) = send().await;
    assert_eq!((status.as_u16(), &again["operation"]), (200, &two["operation"]));
    assert_eq!(actions(&env, "tenant-2").await[..before.len()], before);
    let bare = json!({"id": "tenant-3", "create_default_org": false});
    assert_eq!(root.post(TENANTS, bare).await["operation"], Value::Null);
    // What is wrong with the org is said before the tenant is made.
    let odd = json!({"id": "tenant-4", "default_org_id": "Bad"});
    root.refused(Method::POST, TENANTS, odd, 400).await;

    let list = root.get(TENANTS).await;
    assert_eq!(list["total"], 3);
    assert_eq!(fields(&list, "id"), ["tenant-1", "tenant-2", "tenant-3"]);
    let page = root.get(&format!("{TENANTS}?page_size=1")).await;
    let next = page["next_page_token"].as_str().expect("token");
    let page = root.get(&format!("{TENANTS}?page_size=1&page_token={next}")).await;
    assert_eq!((fields(&page, "id"), &page["total"]), (vec![&json!("tenant-2")], &json!(3)));
    let one = format!("{TENANTS}/tenant-1");
    assert_eq!(root.get(&one).await["is_active"], true);
    assert_eq!(root.patch(&one, json!({"name": "One"})).await["name"], "One");
    root.refused(Method::GET, &format!("{TENANTS}/none"), Value::Null, 404).await;

    // Orgs, by the path and by the context.
    let orgs = format!("{TENANTS}/tenant-1/orgs");
    let org = root.post(&orgs, json!({"id": "org-2", "name": "Two"})).await;
    assert_eq!((&org["id"], &org["is_active"]), (&json!("org-2"), &json!(true)));
    let admin = Person::user(&api, "tenant-1", "admin").await;
    assert_eq!(admin.post("/api/v1/admin/orgs", json!({"id": "org-3"})).await["status"], "ACTIVE");
    admin.refused(Method::POST, "/api/v1/admin/orgs", json!({"id": "org-3"}), 409).await;
    let list = admin.get("/api/v1/admin/orgs").await;
    assert_eq!((fields(&list, "id").len(), &list["total"]), (3, &json!(3)));
    assert_eq!(root.get(&orgs).await["items"], list["items"]);
    let renamed = admin.patch("/api/v1/admin/orgs/org-3", json!({"name": "Three"})).await;
    assert_eq!(renamed["name"], "Three");
    assert_eq!(admin.get("/api/v1/admin/orgs/org-3").await["name"], "Three");
    admin.refused(Method::GET, "/api/v1/admin/orgs/none", Value::Null, 404).await;
    // The path is the platform's by its name, the orgs are the tenant's own.
    assert_eq!(admin.get(&orgs).await["total"], 3);
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn who_waits_too_long_is_told_what_goes_on() {
    let env = locked().await;
    let mut api = env.api().await;
    let root = Person::root(&api).await;
    let answer = root.send(Method::POST, TENANTS, &json!({"id": "acme", "org_id": "hq"})).await;
    assert_eq!(answer.status(), 202);
    let answer: Value = answer.json().await.expect("JSON");
    assert_eq!((&answer["id"], &answer["operation"]["state"]), (&json!("acme"), &json!("PENDING")));
    let mut worker = env.worker("w", &[]);
    settle(&env).await;
    assert_eq!(root.get(&format!("{TENANTS}/acme/orgs")).await["items"][0]["status"], "ACTIVE");
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn without_platform_admin_runbook_004_creates_no_tenants() {
    let env = locked().await;
    let mut api = env.api_with(&[("YUANTUS_PLATFORM_ADMIN_ENABLED", "false")]).await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    let ann = Person::user(&api, "acme", "ann").await;
    let create = json!({"id": "other"});
    let (reason, detail) = root.refused(Method::POST, TENANTS, create.clone(), 403).await;
    assert_eq!((&*reason, &*detail), ("PLATFORM_ADMIN_DISABLED", "Platform admin disabled"));
    let (reason, _) = ann.refused(Method::POST, TENANTS, create.clone(), 403).await;
    assert_eq!(reason, "PERMISSION_DENIED");
    let nobody = Client::new().post(format!("{}{TENANTS}", api.url)).json(&create);
    problem(nobody.send().await.expect("answer"), 401).await;
    assert_eq!(root.get("/api/v1/tenants?with_total=true").await["total"], 1);
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn tenants_and_users_of_runbooks_002_and_003() {
    let env = locked().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    let root = Person::root(&api).await;
    let provision = "/api/admin/tenants/provision";
    let company = |name: &str| {
        json!({"name": name, "contactEmail": "contact@new.example", "adminName": "Ann",
            "adminEmail": "ann@new.example", "adminPassword": PASSWORD, "plan": "pro"})
    };
    let first = root.post(provision, company("New Company")).await;
    assert_eq!((&first["id"], &first["status"]), (&json!("new-company"), &json!("active")));
    let second = root.post(provision, company("new company!")).await;
    assert_eq!(second["id"], "new-company-2");
    let reserved = root.post(provision, company("Platform")).await;
    assert_eq!(reserved["id"], "platform-2");
    let mut bad = company("Other");
    bad["adminPassword"] = "".into();
    let answer = problem(root.send(Method::POST, provision, &bad).await, 400).await;
    assert_eq!(answer["field"], "adminPassword");

    let list = root.get("/api/admin/tenants").await;
    let ids: Vec<_> = list.as_array().expect("array").iter().map(|t| &t["id"]).collect();
    assert_eq!(ids, ["new-company", "new-company-2", "platform-2"]);
    assert_eq!((&list[0]["status"], &list[0]["plan"]), (&json!("active"), &json!("pro")));
    let one = root.get("/api/admin/tenants/new-company").await;
    assert_eq!(
        (&one["contactEmail"], &one["name"]),
        (&json!("contact@new.example"), &json!("New Company"))
    );
    let suspend = json!({"is_active": false});
    root.patch("/api/v1/tenants/platform-2", suspend).await;
    assert_eq!(root.get("/api/admin/tenants/platform-2").await["status"], "suspended");

    let token = login(&api, "new-company", "ann@new.example", PASSWORD).await;
    let ann = Person::with(&api, token);
    let new = json!({"name": "Bob", "email": "bob@new.example", "password": PASSWORD,
        "role": "support_agent"});
    let bob = ann.post("/api/tenants/users", new.clone()).await;
    assert_eq!((&bob["name"], &bob["role"]), (&json!("Bob"), &json!("support_agent")));
    assert_eq!((&bob["orgId"], &bob["tenantId"]), (&json!("main"), &json!("new-company")));
    let members = ann.get("/api/v1/admin/orgs/main/members").await;
    assert_eq!(members["items"][0]["roles"], json!(["support_agent"]));
    ann.refused(Method::POST, "/api/tenants/users", new, 409).await;
    let carl = json!({"email": "carl@new.example", "password": PASSWORD, "role": "admin"});
    let carl = ann.post("/api/tenants/users", carl).await;
    assert_eq!((&carl["role"], &carl["orgId"]), (&json!("admin"), &json!("")));
    let users = ann.get("/api/tenants/users").await;
    assert_eq!(users["total"], 3);
    assert_eq!(root.get("/api/admin/tenants/new-company/users").await["items"], users["items"]);

    let reset = format!("/api/tenants/users/{}/reset-password", bob["id"]);
    let answer = ann.send(Method::POST, &reset, &json!({"newPassword": ""})).await;
    assert_eq!(problem(answer, 400).await["field"], "newPassword");
    ann.post(&reset, json!({"newPassword": "another battery staple"})).await;
    let bob = login(&api, "new-company", "bob@new.example", "another battery staple").await;
    let bob = Person::with(&api, bob);
    for (method, path) in [
        (Method::POST, reset.as_str()),
        (Method::POST, "/api/tenants/users"),
        (Method::GET, "/api/tenants/users"),
        (Method::GET, "/api/admin/tenants/new-company"),
        (Method::GET, "/api/tenants/export"),
        (Method::PUT, "/api/v1/tenants/payments/policy"),
    ] {
        let body = if method == Method::GET { Value::Null } else { json!({"x": 1}) };
        bob.refused(method, path, body, 403).await;
    }
    let own = actions(&env, "new-company").await;
    let expected = [
        "tenant.create",
        "org.create",
        "policy.update",
        "user.create",
        "member.add",
        "user.create",
        "user.reset_password",
    ];
    let changes: Vec<_> = own.iter().filter(|action| *action != "denied").collect();
    assert_eq!(changes[..expected.len()], expected);
    settle(&env).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}
