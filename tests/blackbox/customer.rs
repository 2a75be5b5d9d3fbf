//! Customers: rows of the org's own database, reached as the org's own role.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use yuantus_test_support::{Api, TestEnv};

use crate::{
    problem::problem,
    quiet::assert_quiet,
    tidy::assert_tidy,
    world::{database, run_as_owner},
};

/// A request in the context of an org.
pub fn of_org(api: &Api, org: (&str, &str), method: Method, path: &str) -> RequestBuilder {
    let request = Client::new().request(method, format!("{}{path}", api.url));
    request.header("x-tenant-id", org.0).header("x-org-id", org.1)
}

/// The answer of a request that succeeds.
pub async fn json_of(request: RequestBuilder) -> Value {
    let answer = request.send().await.expect("answer");
    let (status, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await.expect("body");
    assert_eq!(status, StatusCode::OK, "{url}: {text}");
    serde_json::from_str(&text).expect("JSON")
}

/// Makes a tenant with one org `hq`.
pub async fn make_org(api: &Api, tenant: &str) {
    api.create_tenant(tenant).await;
    api.succeed(&api.create_org(tenant, "hq").await).await;
}

/// Records a customer; answers its id.
pub async fn add(api: &Api, tenant: &str, name: &str) -> String {
    let request = of_org(api, (tenant, "hq"), Method::POST, "/api/v1/customers");
    let customer = json_of(request.json(&json!({ "name": name }))).await;
    customer["id"].as_str().expect("id").to_owned()
}

async fn names(api: &Api, tenant: &str, path: &str) -> Vec<String> {
    let page = json_of(of_org(api, (tenant, "hq"), Method::GET, path)).await;
    let customers = page["customers"].as_array().expect("customers").clone();
    customers.iter().map(|c| c["name"].as_str().expect("name").to_owned()).collect()
}

#[tokio::test]
async fn customers_are_recorded_read_changed_and_forgotten() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    let hq = ("acme", "hq");
    let customers = "/api/v1/customers";
    let new = json!({"name": "Ann", "email": "ann@example.com", "phone": "+1 2"});
    let ann = json_of(of_org(&api, hq, Method::POST, customers).json(&new)).await;
    assert_eq!(ann["email"], "ann@example.com");
    let path = format!("{customers}/{}", ann["id"].as_str().expect("id"));
    assert_eq!(json_of(of_org(&api, hq, Method::GET, &path)).await, ann);

    let twin = json!({"name": "Another", "email": "ANN@example.com"});
    let twin = of_org(&api, hq, Method::POST, customers).json(&twin).send().await;
    assert_eq!(problem(twin.expect("answer"), 409).await["reason"], "ALREADY_EXISTS");

    let change = json!({"email": "", "notes": "moved"});
    let changed = json_of(of_org(&api, hq, Method::PATCH, &path).json(&change)).await;
    assert_eq!((&changed["name"], &changed["email"]), (&json!("Ann"), &json!("")));
    assert_eq!((&changed["phone"], &changed["notes"]), (&json!("+1 2"), &json!("moved")));

    for (name, camel) in [("Bob", "/api/customers"), ("Cid", customers)] {
        json_of(of_org(&api, hq, Method::POST, camel).json(&json!({ "name": name }))).await;
    }
    assert_eq!(names(&api, "acme", "/api/customers").await, ["Cid", "Bob", "Ann"]);
    let first = json_of(of_org(&api, hq, Method::GET, "/api/v1/customers?page_size=2")).await;
    let token = first["next_page_token"].as_str().expect("token");
    let next = format!("{customers}?page_size=2&page_token={token}");
    assert_eq!(names(&api, "acme", &next).await, ["Ann"]);

    json_of(of_org(&api, hq, Method::DELETE, &path)).await;
    for method in [Method::GET, Method::DELETE] {
        let gone = of_org(&api, hq, method, &path).send().await.expect("answer");
        assert_eq!(problem(gone, 404).await["reason"], "NOT_FOUND");
    }
    let sql = "SELECT string_agg(action, ' ' ORDER BY id) FROM audit_logs
        WHERE action LIKE 'customer.%' AND target LIKE 'tenants/acme/orgs/hq/customers/%'";
    let audited: String =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect("audit");
    let create = "customer.create";
    // What was refused at the last moment is in the trail, too: it is written first.
    assert_eq!(audited, format!("{create} customer.update {create} {create} customer.delete"));
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_tenant_sees_its_own_customers_only() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    for tenant in ["acme", "beta"] {
        make_org(&api, tenant).await;
    }
    let of_acme = add(&api, "acme", "Ann of acme").await;
    let of_beta = add(&api, "beta", "Bob of beta").await;
    assert_eq!(names(&api, "acme", "/api/v1/customers").await, ["Ann of acme"]);
    assert_eq!(names(&api, "beta", "/api/customers").await, ["Bob of beta"]);
    for (tenant, foreign) in [("acme", &of_beta), ("beta", &of_acme)] {
        for method in [Method::GET, Method::DELETE, Method::PATCH] {
            let path = format!("/api/v1/customers/{foreign}");
            let request = of_org(&api, (tenant, "hq"), method.clone(), &path);
            let request = if method == Method::PATCH { request.json(&json!({})) } else { request };
            problem(request.send().await.expect("answer"), 404).await;
        }
    }
    // Whoever is asked for is who logs in.
    let sql = "SELECT DISTINCT usename::text FROM pg_stat_activity
        WHERE application_name = 'yuantus:data' ORDER BY 1";
    let roles: Vec<String> =
        sqlx::query_scalar(sql).fetch_all(&mut env.identity().await).await.expect("roles");
    assert_eq!(roles, [database("acme", "hq"), database("beta", "hq")]);
    let url = api.connection("acme", "hq").await;
    let own = url.strip_suffix(&database("acme", "hq")).expect("URL of the own database");
    let foreign = format!("{own}{}", database("beta", "hq"));
    let refused = <sqlx::PgConnection as sqlx::Connection>::connect(&foreign).await;
    let refused = refused.expect_err("another tenant's database");
    let code = refused.as_database_error().and_then(|e| e.code()).map(|code| code.into_owned());
    assert_eq!(code.as_deref(), Some("42501"), "{refused}");
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn an_org_of_another_bundle_is_told_that_it_has_no_customers() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    let answer = async |method: Method| {
        let request = of_org(&api, ("acme", "hq"), method.clone(), "/api/v1/customers");
        let request =
            if method == Method::POST { request.json(&json!({"name": "x"})) } else { request };
        request.send().await.expect("answer")
    };
    for (change, reason) in [
        ("ALTER TABLE customers RENAME COLUMN notes TO remarks", "TABLE_DIFFERS"),
        ("DROP TABLE customers", "NO_SUCH_TABLE"),
        ("CREATE TABLE customers (id int, name text)", "TABLE_DIFFERS"),
    ] {
        run_as_owner(&env, &database("acme", "hq"), change).await;
        for method in [Method::GET, Method::POST] {
            assert_eq!(problem(answer(method).await, 412).await["reason"], reason, "{change}");
        }
    }
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_before_the_database_is_asked() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": " "}), "name"),
        (json!({"name": "x", "email": "nobody"}), "email"),
        (json!({"name": "x", "phone": "1".repeat(51)}), "phone"),
        (json!({"name": "x", "notes": "a\u{0}b"}), "notes"),
    ] {
        let request = of_org(&api, ("acme", "hq"), Method::POST, "/api/v1/customers").json(&body);
        let document = problem(request.send().await.expect("answer"), 400).await;
        assert_eq!(document["field"], field, "{body}");
    }
    let no_org = Client::new().get(format!("{}/api/v1/customers", api.url));
    let no_org = no_org.header("x-tenant-id", "acme").send().await.expect("answer");
    let document = problem(no_org, 400).await;
    assert_eq!(document["detail"], "TENANCY_MODE=db-per-tenant-org requires org_id context");
}
