//! What the front door costs: a request whose tenant and caller are known
//! already, against a bare handler.

use serde_json::{Value, json};
use yuantus_test_support::{Api, Options, TestEnv};

use crate::{
    Result, bare,
    http::Ask,
    report::{Goal, Measure},
    rounds::{Rounds, percentile},
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["tenant_rps", "tenant_p99", "authz_rps", "authz_p99"];

const THROUGHPUT: Goal = Goal::AtLeast(0.7);
/// Milliseconds that one in a hundred answers may exceed, at half load.
const LIMIT: f64 = 2.0;
const LATENCY: Goal = Goal::AtMost(1.0);
/// How many short rounds stand for a long one: a machine has bad moments, and
/// the median of many rounds leaves them out.
const SHORT: u32 = 5;
const PASSWORD: &str = "horse battery staple 1";

/// An org that the gate lets its tenant's administrator pass to.
const ORG: [&str; 2] = [
    "INSERT INTO orgs (tenant_id, id, name, status) VALUES ('acme', 'hq', 'hq', 'ACTIVE')",
    "INSERT INTO databases (tenant_id, org_id, name, role, state, sealed_password, revision)
    VALUES ('acme', 'hq', 'acme_hq', 'acme_hq', 'READY', '', 1000000)",
];

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let variables = vec![("YUANTUS_AUTH_MODE".to_owned(), "required".to_owned())];
    let env = TestEnv::start_with(Options { variables, ..Options::default() }).await;
    let api = env.api().await;
    let token = token(&env, &api).await?;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", &*authorization), ("x-org-id", "hq")];
    let (_bare, url) = bare::start(env.dir()).await?;
    let bare = Ask::get(&url, "/", &headers);
    let tenant = Ask::get(&api.url, "/api/v1/admin/tenant", &headers);
    let authz = Ask::get(&api.url, "/authz/http", &headers);
    let mut measures = Vec::new();
    for (names, ask) in [(&NAMES[..2], &tenant), (&NAMES[2..], &authz)] {
        let mut throughput = Rounds::new(names[0], "/s", THROUGHPUT);
        let mut latency = Rounds::new(names[1], "ms", LATENCY);
        let time = size.load / SHORT;
        for warm in [&bare, ask] {
            warm.per_second(time).await?;
        }
        for _ in 0..size.rounds * SHORT as usize {
            let baseline = bare.per_second(time).await?;
            let ours = ask.per_second(time).await?;
            throughput.add(ours, baseline);
            let took = ask.latencies(ours / 2.0, time).await?;
            latency.add(percentile(took, 99), LIMIT);
            // What the machine itself makes of that many requests.
            let took = bare.latencies(ours / 2.0, time).await?;
            eprintln!("{} of the bare handler: {:.2} ms", names[1], percentile(took, 99));
        }
        measures.extend([throughput.measure(), latency.measure()]);
    }
    Ok(measures)
}

/// The token of a tenant's administrator.
async fn token(env: &TestEnv, api: &Api) -> Result<String> {
    let settings = env.variables();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (&**n, &**v)).collect();
    let create = ["db", "create-admin", "root", "--password-stdin"];
    env.cli(&create, &settings, PASSWORD).await.succeeded();
    let root = login(api, "platform", "root").await?;
    let tenant = json!({"id": "acme", "admin_username": "ann", "admin_password": PASSWORD});
    let tenants = format!("{}/api/v1/tenants", api.url);
    let made = reqwest::Client::new().post(tenants).bearer_auth(root).json(&tenant).send().await?;
    made.error_for_status()?;
    // Nobody connects to its database.
    let mut identity = env.identity().await;
    for sql in ORG {
        sqlx::query(sql).execute(&mut identity).await?;
    }
    login(api, "acme", "ann").await
}

async fn login(api: &Api, tenant: &str, username: &str) -> Result<String> {
    let body = json!({"tenant_id": tenant, "username": username, "password": PASSWORD});
    let login = format!("{}/api/v1/auth/login", api.url);
    let answer = reqwest::Client::new().post(login).json(&body).send().await?;
    let answer: Value = answer.error_for_status()?.json().await?;
    Ok(answer["access_token"].as_str().ok_or("no token")?.to_owned())
}
