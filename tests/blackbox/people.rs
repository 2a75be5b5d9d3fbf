//! What tests of users, members, sessions and keys share: REST as a person
//! with `curl` speaks it.

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use yuantus_test_support::{Api, TestEnv};

use crate::authentication::{ADMIN_PASSWORD, call, login};

/// A password that no policy refuses.
pub const PASSWORD: &str = "correct horse battery";

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

/// Records an org without a database, which tests of people need none of.
pub async fn org_without_database(env: &TestEnv, tenant: &str, org: &str) {
    let sql = "INSERT INTO orgs (tenant_id, id, name, status) VALUES ($1, $2, $2, 'ACTIVE')";
    let mut identity = env.identity().await;
    sqlx::query(sql).bind(tenant).bind(org).execute(&mut identity).await.expect("org");
    let sql = "INSERT INTO databases (tenant_id, org_id, name, role, state, sealed_password)
        VALUES ($1, $2, $1 || '_' || $2, $1 || '_' || $2, 'READY', '')";
    sqlx::query(sql).bind(tenant).bind(org).execute(&mut identity).await.expect("database");
}

/// The ids, or other fields, of the items of a list.
pub fn fields<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list["items"].as_array().expect("items").iter().map(|item| &item[field]).collect()
}
