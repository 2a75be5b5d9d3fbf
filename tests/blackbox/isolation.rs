//! Two tenants with two orgs each: every credential at every neighbour's, over
//! gRPC, REST and the gate, and straight at PostgreSQL.

use std::collections::HashSet;

use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tonic::Code;
use yuantus_test_support::Api;

use crate::{
    authentication::{call, finish, locked},
    people::{PASSWORD, Person, tenant_with_ann},
    quiet::assert_quiet,
    rpc,
};

const TENANTS: [&str; 2] = ["acme", "beta"];
const ORGS: [&str; 2] = ["hq", "eu"];
const CUSTOMERS: &str = "/api/v1/customers";
const FORM: &str = "--X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n\
    a\r\n--X--\r\n";

/// What somebody may come with.
struct Credential {
    name: String,
    header: (&'static str, String),
    tenant: &'static str,
    /// The orgs it is good for.
    orgs: Vec<&'static str>,
}

impl Credential {
    fn token(name: String, token: &str, tenant: &'static str, orgs: &[&'static str]) -> Self {
        let header = ("authorization", format!("Bearer {token}"));
        Self { name, header, tenant, orgs: orgs.to_vec() }
    }

    fn is_good_for(&self, tenant: &str, org: &str) -> bool {
        self.tenant == tenant && self.orgs.contains(&org)
    }

    /// What the context's headers say, and this credential.
    fn metadata<'a>(&'a self, tenant: &'a str, org: &'a str) -> [(&'static str, &'a str); 3] {
        [(self.header.0, &self.header.1), ("x-tenant-id", tenant), ("x-org-id", org)]
    }

    /// What REST answers, and the customers' names in it.
    async fn rest(&self, api: &Api, tenant: &str, org: &str) -> (u16, Vec<String>) {
        let mut request = Client::new().get(format!("{}{CUSTOMERS}", api.url));
        for (name, value) in self.metadata(tenant, org) {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("answer");
        let status = answer.status().as_u16();
        let page: Value = answer.json().await.expect("JSON");
        let customers = page["customers"].as_array().cloned().unwrap_or_default();
        let name = |customer: &Value| customer["name"].as_str().expect("name").to_owned();
        (status, customers.iter().map(name).collect())
    }

    /// What is answered to a file and to a customer that it sends.
    async fn write(&self, api: &Api, tenant: &str, org: &str) -> [u16; 2] {
        let post = |path: &str| {
            let request = Client::new().post(format!("{}{path}", api.url));
            let metadata = self.metadata(tenant, org);
            metadata.into_iter().fold(request, |request, (name, value)| request.header(name, value))
        };
        let file = post("/api/v1/file/upload")
            .header("content-type", "multipart/form-data; boundary=X")
            .body(FORM);
        let customer = post(CUSTOMERS).json(&json!({"name": self.name}));
        let [file, customer] = [file, customer]
            .map(async |request| request.send().await.expect("answer").status().as_u16());
        [file.await, customer.await]
    }

    /// What is answered to whoever asks for this file.
    async fn read(&self, api: &Api, tenant: &str, org: &str, file: &str) -> u16 {
        let mut request = Client::new().get(format!("{}/api/v1/file/{file}", api.url));
        for (name, value) in self.metadata(tenant, org) {
            request = request.header(name, value);
        }
        request.send().await.expect("answer").status().as_u16()
    }

    /// What gRPC answers, as REST would say it.
    async fn grpc(&self, api: &Api, tenant: &str, org: &str) -> u16 {
        let method = rpc::methods().into_iter().find(|method| method.name() == "ListCustomers");
        let method = method.expect("ListCustomers");
        match rpc::grpc_as(api, &method, &json!({}), &self.metadata(tenant, org)).await {
            Ok(_) => 200,
            Err(status) if status.code() == Code::PermissionDenied => 403,
            Err(status) => panic!("{}: {status}", self.name),
        }
    }

    /// What the gate answers, and the database that it names.
    async fn gate(&self, api: &Api, tenant: &str, org: &str) -> (u16, String) {
        let mut request = Client::new().get(format!("{}/authz/http", api.url));
        for (name, value) in self.metadata(tenant, org) {
            request = request.header(name, value);
        }
        let answer = request.send().await.expect("answer");
        let database = answer.headers().get("x-yuantus-database");
        let database = database.map(|value| value.to_str().expect("text").to_owned());
        (answer.status().as_u16(), database.unwrap_or_default())
    }
}

/// Two users, of one org each, an administrator, and keys of each kind.
async fn credentials(api: &Api, tenant: &'static str) -> Vec<Credential> {
    let ann = Person::user(api, tenant, "ann").await;
    let mut made = vec![Credential::token(format!("{tenant}/ann"), &ann.token, tenant, &ORGS)];
    let keys = "/api/v1/admin/api-keys";
    let key = ann.post(keys, json!({"name": "all"})).await;
    let header = ("x-api-key", key["secret"].as_str().expect("secret").to_owned());
    made.push(Credential { name: format!("{tenant}/key"), header, tenant, orgs: ORGS.to_vec() });
    for org in ORGS {
        let username = format!("user-{org}");
        let user = json!({"username": username, "password": PASSWORD});
        let user = ann.post("/api/v1/admin/users", user).await;
        let member = json!({"user_id": user["id"], "roles": ["member"]});
        ann.post(&format!("/api/v1/admin/orgs/{org}/members"), member).await;
        let user = Person::user(api, tenant, &username).await;
        let name = format!("{tenant}/{username}");
        made.push(Credential::token(name, &user.token, tenant, &[org]));
        let key = ann.post(keys, json!({"name": org, "org_id": org})).await;
        let header = ("x-api-key", key["secret"].as_str().expect("secret").to_owned());
        let name = format!("{tenant}/key of {org}");
        made.push(Credential { name, header, tenant, orgs: vec![org] });
    }
    made
}

/// The URL of an org's own role.
async fn url(api: &Api, root: &Person<'_>, tenant: &str, org: &str) -> reqwest::Url {
    let request = json!({"tenant_id": tenant, "org_id": org});
    let answer = call(api, Some(&root.token), "GetConnection", request).await.expect("connection");
    rpc::text(&answer, "url").parse().expect("URL")
}

#[tokio::test]
async fn nothing_of_one_org_passes_to_another() {
    let env = locked().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    let root = Person::root(&api).await;
    let mut all = Vec::new();
    let mut urls = Vec::new();
    for tenant in TENANTS {
        tenant_with_ann(&api, &root, tenant).await;
        for org in ORGS {
            let request = json!({"tenant_id": tenant, "id": org});
            finish(&api, &root.token, "CreateOrg", request).await;
            urls.push((tenant, org, url(&api, &root, tenant, org).await));
        }
        all.extend(credentials(&api, tenant).await);
    }
    for (tenant, org, _) in &urls {
        let ann = all.iter().find(|credential| credential.name == format!("{tenant}/ann"));
        let mut request = Client::new().post(format!("{}{CUSTOMERS}", api.url));
        for (name, value) in ann.expect("ann").metadata(tenant, org) {
            request = request.header(name, value);
        }
        let made = request.json(&json!({"name": format!("of {tenant}/{org}")})).send().await;
        assert_eq!(made.expect("answer").status(), 200);
    }

    for credential in &all {
        for (tenant, org, url) in &urls {
            let case = format!("{} at {tenant}/{org}", credential.name);
            let good = credential.is_good_for(tenant, org);
            let status = if good { 200 } else { 403 };
            let (rest, names) = credential.rest(&api, tenant, org).await;
            assert_eq!(rest, status, "REST: {case}");
            let own = if good { vec![format!("of {tenant}/{org}")] } else { Vec::new() };
            assert_eq!(names, own, "REST: {case}");
            assert_eq!(credential.grpc(&api, tenant, org).await, status, "gRPC: {case}");
            let (gate, database) = credential.gate(&api, tenant, org).await;
            assert_eq!(gate, status, "the gate: {case}");
            let own = if good { &url.path()[1..] } else { "" };
            assert_eq!(database, own, "the gate: {case}");
        }
    }

    // Who may write writes where it may, and nowhere else: what is there in the
    // end is told by who wrote it.
    for credential in &all {
        for (tenant, org, _) in &urls {
            let status = if credential.is_good_for(tenant, org) { 200 } else { 403 };
            let case = format!("{} at {tenant}/{org}", credential.name);
            assert_eq!(credential.write(&api, tenant, org).await, [status; 2], "{case}");
        }
    }
    for (tenant, org, url) in &urls {
        let mut role = PgConnection::connect(url.as_str()).await.expect("own database");
        let names = sqlx::query_scalar("SELECT name FROM customers WHERE name NOT LIKE 'of %'");
        let names: HashSet<String> =
            names.fetch_all(&mut role).await.expect("customers").into_iter().collect();
        let writers = all.iter().filter(|credential| credential.is_good_for(tenant, org));
        let writers: HashSet<String> = writers.map(|credential| credential.name.clone()).collect();
        assert_eq!(names, writers, "{tenant}/{org}");
        let files: Vec<String> = sqlx::query_scalar("SELECT id::text FROM files")
            .fetch_all(&mut role)
            .await
            .expect("files");
        assert_eq!(files.len(), writers.len(), "{tenant}/{org}");
        for credential in &all {
            for (at_tenant, at_org, _) in &urls {
                let status = match credential.is_good_for(at_tenant, at_org) {
                    true if (at_tenant, at_org) == (tenant, org) => 200,
                    true => 404,
                    false => 403,
                };
                let read = credential.read(&api, at_tenant, at_org, &files[0]).await;
                let case = format!("{} at {at_tenant}/{at_org}", credential.name);
                assert_eq!(read, status, "a file of {tenant}/{org}: {case}");
            }
        }
    }

    for (tenant, org, own) in &urls {
        for (_, _, other) in &urls {
            let mut at = own.clone();
            at.set_path(other.path());
            let reached = PgConnection::connect(at.as_str()).await;
            let case = format!("the role of {tenant}/{org} at {}", other.path());
            assert_eq!(reached.is_ok(), own.path() == other.path(), "{case}");
        }
        for closed in ["yuantus_identity", "postgres", "template1"] {
            let mut at = own.clone();
            at.set_path(closed);
            let refused = PgConnection::connect(at.as_str()).await.map(drop);
            let code = refused.err().and_then(|e| e.as_database_error()?.code().map(String::from));
            assert_eq!(code.as_deref(), Some("42501"), "the role of {tenant}/{org} at {closed}");
        }
        let mut role = PgConnection::connect(own.as_str()).await.expect("own database");
        for sql in ["SET ROLE yuantus_tenant_owner", "CREATE ROLE x", "CREATE DATABASE x"] {
            sqlx::query(sql).execute(&mut role).await.expect_err(sql);
        }
    }
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &[]);
}
