//! Which tenant a request is for, and that a change of it is heard of.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use yuantus_test_support::{Api, TestEnv};

use crate::{
    authentication::{ADMIN_PASSWORD, call, locked, login},
    people::org_without_database,
    problem::problem,
    quiet::assert_quiet,
};

/// What is heard of is heard of sooner. It is less than what is remembered
/// lasts, so that a change that nobody tells fails the test.
const PATIENCE: Duration = Duration::from_secs(6);

/// The API, and who asks it.
struct Asking {
    api: Api,
    http: Client,
    platform: String,
    ann: String,
}

impl Asking {
    /// With the tenant acme and its administrator ann.
    async fn start(env: &TestEnv, more: &[(&str, &str)]) -> Self {
        let api = env.api_with(more).await;
        let platform = login(&api, "platform", "root", ADMIN_PASSWORD).await;
        let acme = json!({"id": "acme", "admin_username": "ann",
            "admin_password": "the password of acme"});
        call(&api, Some(&platform), "CreateTenant", acme).await.expect("tenant");
        let ann = login(&api, "acme", "ann", "the password of acme").await;
        Self { api, http: Client::new(), platform, ann }
    }

    fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.api.url)).bearer_auth(token)
    }

    /// Ann's own tenant.
    async fn current(&self) -> Response {
        let request = self.request(Method::GET, "/api/v1/admin/tenant", &self.ann);
        request.send().await.expect("answer")
    }

    async fn set_active(&self, active: bool) {
        let path = "/api/v1/admin/tenants/acme";
        let request = self.request(Method::PATCH, path, &self.platform);
        let answer = request.json(&json!({"is_active": active})).send().await.expect("answer");
        assert_eq!(answer.status(), 200);
        let tenant: Value = answer.json().await.expect("JSON");
        assert_eq!(tenant["is_active"], active);
        assert_eq!(tenant["status"], if active { "ACTIVE" } else { "SUSPENDED" });
    }

    /// Asks until the answer has this status.
    async fn until(&self, status: u16) -> Response {
        let begun = Instant::now();
        loop {
            let answer = self.current().await;
            if answer.status() == status {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "still {}, not {status}", answer.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn execute(identity: &mut PgConnection, sql: &'static str) {
    let done = sqlx::query(sql).execute(identity).await.expect(sql);
    assert!(done.rows_affected() > 0, "{sql}");
}

#[tokio::test]
async fn a_suspended_tenant_and_a_user_who_is_gone_are_refused_at_once() {
    let env = locked().await;
    let mut asking = Asking::start(&env, &[]).await;
    let mut identity = env.identity().await;
    let tenant: Value = asking.until(200).await.json().await.expect("JSON");
    assert_eq!((&tenant["id"], &tenant["status"]), (&json!("acme"), &json!("ACTIVE")));

    asking.set_active(false).await;
    let refused = problem(asking.until(403).await, 403).await;
    assert_eq!(refused["reason"], "TENANT_SUSPENDED");
    asking.set_active(true).await;
    asking.until(200).await;

    execute(&mut identity, "UPDATE users SET is_active = false WHERE username = 'ann'").await;
    asking.until(401).await;
    execute(&mut identity, "UPDATE users SET is_active = true WHERE username = 'ann'").await;
    asking.until(200).await;
    execute(&mut identity, "DELETE FROM users WHERE username = 'ann'").await;
    asking.until(401).await;

    let sql = "SELECT array_agg(action ORDER BY id) FROM audit_logs WHERE target = 'tenants/acme'";
    let done: Vec<String> = sqlx::query_scalar(sql).fetch_one(&mut identity).await.expect("audit");
    assert_eq!(done, ["tenant.create", "tenant.suspend", "tenant.reactivate"]);
    asking.api.child.terminate().await;
    assert_quiet(&asking.api.child, &[]);
}

#[tokio::test]
async fn a_change_that_nobody_could_tell_is_noticed_too() {
    let env = locked().await;
    let asking = Asking::start(&env, &[]).await;
    let mut identity = env.identity().await;
    asking.until(200).await;
    // The listener is cut off, and in the same moment the tenant suspended.
    let cut = "WITH cut AS (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE query LIKE 'LISTEN \"yuantus_context\"%' OR query = 'SELECT 1')
        UPDATE tenants SET status = 'SUSPENDED' WHERE EXISTS (SELECT FROM cut)";
    execute(&mut identity, cut).await;
    asking.until(403).await;
    asking.set_active(true).await;
    asking.until(200).await;
    asking.set_active(false).await;
    asking.until(403).await;
}

#[tokio::test]
async fn a_subdomain_is_a_tenant() {
    let env = locked().await;
    let root = [("ROOT_DOMAIN", "example.com"), ("PLATFORM_HOSTS", "admin.example.com")];
    let asking = Asking::start(&env, &root).await;
    let at = async |host: &str, token: &str| {
        let request = asking.request(Method::GET, "/api/v1/admin/tenant", token);
        request.header("host", host).send().await.expect("answer")
    };
    assert_eq!(at("acme.example.com", &asking.ann).await.status(), 200);
    assert_eq!(at("acme.example.com", &asking.platform).await.status(), 200, "impersonation");
    assert_eq!(at("www.example.com", &asking.ann).await.status(), 200, "reserved");
    let other = problem(at("other.example.com", &asking.ann).await, 403).await;
    assert_eq!(other["reason"], "TENANT_MISMATCH");
    problem(at("other.example.com", &asking.platform).await, 404).await;
    let nobody = asking.http.post(format!("{}/api/v1/auth/login", asking.api.url));
    let nobody = nobody.header("host", "nobody.example.com").json(&json!({})).send().await;
    problem(nobody.expect("answer"), 404).await;
}

#[tokio::test]
async fn acting_within_a_tenant_is_in_the_audit_trail() {
    let env = locked().await;
    let asking = Asking::start(&env, &[]).await;
    let rename = |token: &str| {
        let request = asking.request(Method::PATCH, "/api/v1/tenants/acme", token);
        request.header("x-tenant-id", "acme").json(&json!({"name": "Acme"}))
    };
    let renamed: Value =
        rename(&asking.platform).send().await.expect("answer").json().await.expect("JSON");
    assert_eq!(renamed["name"], "Acme");
    problem(rename(&asking.ann).send().await.expect("answer"), 403).await;
    let sql = "SELECT action, actor FROM audit_logs WHERE target = 'tenants/acme' ORDER BY id";
    let rows: Vec<(String, String)> =
        sqlx::query_as(sql).fetch_all(&mut env.identity().await).await.expect("audit");
    let rows: Vec<_> = rows.iter().map(|(action, actor)| (&**action, &**actor)).collect();
    let root = "platform/root";
    let expected = ["tenant.create", "tenant.impersonate", "tenant.update"];
    assert_eq!(rows, expected.map(|action| (action, root)));
}

/// Sends a request as it stands; answers the status.
async fn raw(api: &Api, head: &str) -> u16 {
    let address = api.url.strip_prefix("http://").expect("address");
    let mut stream = TcpStream::connect(address).await.expect("connection");
    let request = format!("{head}Host: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    let status = answer.split(' ').nth(1).expect("status");
    status.parse().expect("number")
}

#[tokio::test]
async fn a_name_of_a_header_counts_however_it_is_written() {
    let env = locked().await;
    let asking = Asking::start(&env, &[]).await;
    org_without_database(&env, "acme", "hq").await;
    let (ann, platform) = (&asking.ann, &asking.platform);
    for path in ["/api/v1/admin/tenant", "/authz/http"] {
        for (token, headers, expected) in [
            (ann, &[][..], 200),
            (ann, &["X-Tenant-ID: acme"], 200),
            (ann, &["X-TENANT-ID: other"], 403),
            (ann, &["x-Tenant-Id: Acme"], 400),
            (ann, &["X-Tenant-Id: acme, other"], 400),
            (ann, &["X-Tenant-Id: acme,acme"], 400),
            (ann, &["X-Tenant-Id: acme", "x-tenant-id: acme"], 400),
            (ann, &["x-tenant-id: acme", "X-TENANT-ID: other"], 400),
            (platform, &["X-Tenant-ID: acme"], 200),
            (platform, &["X-Tenant-ID: acme", "x-tenant-id: other"], 400),
            (platform, &["X-Tenant-ID: acme, other"], 400),
        ] {
            let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
            let head = format!(
                "GET {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nX-Org-Id: hq\r\n{headers}"
            );
            // The gate's proxies know three answers: yes, no, and who are you.
            let expected = if path == "/authz/http" && expected == 400 { 403 } else { expected };
            assert_eq!(raw(&asking.api, &head).await, expected, "{path} {headers}");
        }
    }
}
