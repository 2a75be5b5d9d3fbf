//! What tests of users, members, sessions and keys share: REST as a person
//! with `curl` speaks it.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tonic::Code;
use yuantus_test_support::{Api, TestEnv};

use crate::{
    authentication::{ADMIN_PASSWORD, call, login},
    rpc,
};

/// A password that no policy refuses.
pub const PASSWORD: &str = "correct horse battery";

/// What is heard of is heard of within a second; busy machines are slower, and
/// what is remembered lasts much longer.
pub const SOON: Duration = Duration::from_secs(3);

/// Someone who calls.
pub struct Person<'a> {
    api: &'a Api,
    http: Client,
    /// The token; empty for nobody.
    pub token: String,
}

impl<'a> Person<'a> {
    /// Calls with this token.
    pub fn with(api: &'a Api, token: impl Into<String>) -> Self {
        Self { api, http: Client::new(), token: token.into() }
    }

    /// The platform's administrator.
    pub async fn root(api: &'a Api) -> Self {
        Self::with(api, login(api, "platform", "root", ADMIN_PASSWORD).await)
    }

    /// A user with [`PASSWORD`].
    pub async fn user(api: &'a Api, tenant: &str, username: &str) -> Self {
        Self::with(api, login(api, tenant, username, PASSWORD).await)
    }

    /// Sends a request; a body of `null` is none.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.api.url));
        let request = match self.token.is_empty() {
            true => request,
            false => request.bearer_auth(&self.token),
        };
        let request = if body.is_null() { request } else { request.json(body) };
        request.send().await.expect("answer")
    }

    /// Sends a request that is answered with 200; answers the body.
    pub async fn ok(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, &body).await;
        let (status, url) = (answer.status(), answer.url().to_string());
        let text = answer.text().await.expect("body");
        assert_eq!(status, 200, "{url} {body}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Sends a request that is refused with `status`; answers its `reason` and
    /// `detail`.
    pub async fn refused(
        &self,
        method: Method,
        path: &str,
        body: Value,
        status: u16,
    ) -> (String, String) {
        let answer = self.send(method, path, &body).await;
        let document = crate::problem::problem(answer, status).await;
        let text = |field: &str| document[field].as_str().expect("text").to_owned();
        (text("reason"), text("detail"))
    }

    /// GET that is answered with 200.
    pub async fn get(&self, path: &str) -> Value {
        self.ok(Method::GET, path, Value::Null).await
    }

    /// POST that is answered with 200.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.ok(Method::POST, path, body).await
    }

    /// PATCH that is answered with 200.
    pub async fn patch(&self, path: &str, body: Value) -> Value {
        self.ok(Method::PATCH, path, body).await
    }
}

/// A tenant with the administrator ann.
pub async fn tenant_with_ann(api: &Api, root: &Person<'_>, tenant: &str) {
    let request = json!({"id": tenant, "admin_username": "ann", "admin_password": PASSWORD});
    call(api, Some(&root.token), "CreateTenant", request).await.expect("tenant");
}

/// Records an org whose database looks ready but is not there, which tests of
/// people need none of.
pub async fn org_without_database(env: &TestEnv, tenant: &str, org: &str) {
    let sql = "INSERT INTO orgs (tenant_id, id, name, status) VALUES ($1, $2, $2, 'ACTIVE')";
    let mut identity = env.identity().await;
    sqlx::query(sql).bind(tenant).bind(org).execute(&mut identity).await.expect("org");
    let sql =
        "INSERT INTO databases (tenant_id, org_id, name, role, state, sealed_password, revision)
        VALUES ($1, $2, $1 || '_' || $2, $1 || '_' || $2, 'READY', '', 1000000)";
    sqlx::query(sql).bind(tenant).bind(org).execute(&mut identity).await.expect("database");
}

/// What a request of acme's org hq with this credential is answered with: over
/// gRPC, over REST, and by the gate. The three must agree.
pub async fn doors(api: &Api, header: (&'static str, &str)) -> u16 {
    let method = rpc::methods().into_iter().find(|m| m.name() == "GetCurrentTenant");
    let method = method.expect("GetCurrentTenant");
    let grpc = rpc::grpc_as(api, &method, &json!({}), &[header, ("x-org-id", "hq")]).await;
    let grpc = match grpc.map_err(|status| status.code()) {
        Ok(_) => 200,
        Err(Code::Unauthenticated) => 401,
        Err(Code::PermissionDenied) => 403,
        Err(code) => panic!("{code}"),
    };
    let ask = async |path: &str| {
        let request = Client::new().get(format!("{}{path}", api.url));
        let request = request.header(header.0, header.1).header("x-org-id", "hq");
        request.send().await.expect("answer").status().as_u16()
    };
    let (rest, gate) = (ask("/api/v1/admin/tenant").await, ask("/authz/http").await);
    // What changes in between reaches them one after the other.
    if grpc == rest && rest == gate { grpc } else { 0 }
}

/// Asks until all doors answer with this status, which must not take longer
/// than a second.
pub async fn doors_become(api: &Api, header: (&'static str, &str), status: u16) {
    let begun = Instant::now();
    loop {
        let answered = doors(api, header).await;
        if answered == status {
            return;
        }
        assert!(begun.elapsed() < SOON, "still {answered}, not {status}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The ids, or other fields, of the items of a list.
pub fn fields<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list["items"].as_array().expect("items").iter().map(|item| &item[field]).collect()
}
