//! The API commands of the runbooks, as printed: every one is run, or stands
//! here with the reason why not yet.

mod commands;

use std::{collections::BTreeSet, fs, path::PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use yuantus_test_support::{Api, TestEnv, path as programs, run};

use crate::{
    authentication::{ADMIN_PASSWORD, locked, login},
    people::Person,
    settle::settle,
    tidy::assert_tidy,
};
use commands::{Command, Kind, commands};

/// What must be true of an answer.
type Check = fn(&Value) -> bool;

/// What comes of a request.
enum Plan {
    /// It answers 200, and this is true of its body.
    Answers(Check),
    /// It answers 200 to this body, which the document does not print.
    Takes(fn() -> Value, Check),
    /// It is there once what is named is.
    Later(&'static str),
}

use Plan::{Answers, Later, Takes};

const LIFECYCLE: Plan = Later("lifecycle");
const ALERTS: Plan = Later("alerts");
const QUOTAS: Plan = Later("quotas");
const MODULES: Plan = Later("modules");
const METRICS: Plan = Later("metrics");

/// Every request that the runbooks print, without the query.
const REQUESTS: &[(&str, Plan)] = &[
    // 000
    ("POST /api/v1/tenants", Takes(|| json!({"id": "another"}), |a| a["id"] == "another")),
    ("GET /api/v1/tenants", Answers(|a| a["tenants"][0]["id"] == "acme")),
    (
        "PUT /api/v1/tenants/payments/policy",
        Takes(
            || json!({"daily_limit": 100}),
            |a| a["tenant_id"] == "acme" && a["policy"]["daily_limit"] == 100.0,
        ),
    ),
    // 001
    ("GET /healthz", Answers(|a| a == "ok")),
    ("GET /readyz", Answers(|a| a["ok"] == true)),
    ("GET /api/v1/health/ready", Answers(|a| a["ok"] == true)),
    (
        "POST /api/v1/auth/login",
        Takes(
            || json!({"tenant_id": "acme", "username": "ann", "password": PASSWORD}),
            |a| a["token_type"] == "bearer" && a["tenant_id"] == "acme",
        ),
    ),
    ("GET /api/v1/auth/me", Answers(|a| a["username"].is_string())),
    (
        "POST /api/v1/platform/auth/login",
        Takes(
            || json!({"username": "root", "password": ADMIN_PASSWORD}),
            |a| a["token_type"] == "bearer" && a["tenant_id"] == "platform",
        ),
    ),
    ("GET /api/v1/platform", MODULES),
    ("GET /api/v1/platform/*", MODULES),
    ("GET /api/v1/platform/tenants", Answers(|a| a["tenants"][0]["id"] == "acme")),
    ("GET /api/v1/tenant/settings", MODULES),
    // 002 and 003
    ("GET /api/health", Answers(|a| a["ok"] == true)),
    ("GET /api/customers", Answers(|a| a["customers"].as_array().is_some_and(|c| c.len() == 1))),
    ("GET /api/admin/tenants", Answers(|a| a[0]["id"] == "acme" && a[0]["status"] == "active")),
    ("GET /api/admin/tenants/<tenant_id>", Answers(|a| a["status"] == "active")),
    ("GET /api/admin/tenants/<tenant_id>/users", Answers(|a| a["total"].as_i64() >= Some(2))),
    (
        "POST /api/admin/tenants/provision",
        Answers(|a| {
            a["operation"]["state"] == "SUCCEEDED"
                && a["contactEmail"].as_str().is_some_and(|email| email.starts_with("contact@"))
        }),
    ),
    ("GET /api/tenants/export", Answers(|a| a["format"] == "yuantus.tenant-export/1")),
    ("POST /api/admin/tenants/restore", Answers(|a| a["rows_unchanged"].as_i64() >= Some(1))),
    (
        "GET /api/tenants/users",
        Answers(|a| a["items"].as_array().is_some_and(|items| !items.is_empty())),
    ),
    (
        "POST /api/tenants/users",
        Answers(|a| a["role"] == "support_agent" && a["email"] == "user@company.com"),
    ),
    ("POST /api/tenants/users/<user_id>/reset-password", Answers(|a| a["username"] == "carl")),
    (
        "GET /api/audit-logs",
        Answers(|a| a["audit_logs"].as_array().is_some_and(|logs| !logs.is_empty())),
    ),
    ("POST /api/test/audit", Answers(|a| a["action"] == "audit.test")),
    ("POST /api/admin/tenants/<tenant_id>/suspend", LIFECYCLE),
    ("POST /api/admin/tenants/<tenant_id>/reactivate", LIFECYCLE),
    ("POST /api/admin/tenants/<tenant_id>/cancel", LIFECYCLE),
    ("POST /api/admin/tenants/<tenant_id>/delete", LIFECYCLE),
    ("GET /api/admin/alerts", ALERTS),
    ("GET /api/tenants/alerts", ALERTS),
    ("GET /api/tenants/quotas", QUOTAS),
    ("GET /api/admin/metrics", METRICS),
    // 004
    ("GET /api/v1/health", Answers(|a| a["ok"] == true && a["schema_mode"] == "migrations")),
    ("GET /api/v1/health/deps", Answers(|a| a["ok"] == true && a["deps"]["db"]["ok"] == true)),
    (
        "POST /api/v1/admin/tenants",
        Answers(|a| {
            a["id"] == "tenant-1"
                && a["is_active"] == true
                && a["created_at"].is_string()
                && a["operation"]["state"] == "SUCCEEDED"
        }),
    ),
    ("GET /api/v1/admin/tenant", Answers(|a| a["id"] == "tenant-1" && a["status"] == "ACTIVE")),
];

/// What begins so asks nothing of the API, or is no request.
const OTHERS: &[(&str, &str)] = &[
    ("0 2 * * *", "a line of a crontab"),
    ("./scripts/", "scripts of a later piece of work"),
    ("bash scripts/", "scripts of a later piece of work"),
    ("docker compose", "containers"),
    ("export YUANTUS_", "settings"),
    ("psql ", "the database"),
    ("tail -f ", "the log"),
    ("yuantus db upgrade", "the command line, which every test here begins with"),
];

const PASSWORD: &str = "correct horse battery";

/// Who the documents' people are.
struct World<'a> {
    crm: &'a Api,
    plm: &'a Api,
    owner: String,
    of_acme: String,
    of_beta: String,
    carl: String,
    dir: PathBuf,
}

impl<'a> World<'a> {
    async fn make(env: &TestEnv, crm: &'a Api, plm: &'a Api) -> Self {
        let root = Person::root(crm).await;
        for tenant in ["acme", "beta"] {
            let create = json!({"id": tenant, "org_id": "hq", "admin_username": "ann",
                "admin_password": PASSWORD, "admin_email": format!("ann@{tenant}.example")});
            root.post("/api/v1/admin/tenants", create).await;
        }
        let of_acme = of_org(crm, "acme").await;
        let of_beta = of_org(crm, "beta").await;
        for (token, name) in [(&of_acme, "Ann of acme"), (&of_beta, "Bob of beta")] {
            let person = Person::with(crm, token.clone());
            person.post("/api/customers", json!({"name": name})).await;
        }
        let carl = json!({"username": "carl", "password": PASSWORD, "name": "Carl"});
        let carl = Person::with(crm, of_acme.clone()).post("/api/v1/admin/users", carl).await;
        let dir = env.dir().join("runbooks");
        fs::create_dir(&dir).expect("directory");
        // What was asked stays as printed; how it was answered is told beside it.
        let rc = "silent\nshow-error\nwrite-out = \"%{stderr}status %{http_code}\\n\"\n";
        fs::write(dir.join(".curlrc"), rc).expect(".curlrc");
        let carl = carl["id"].to_string();
        Self { crm, plm, owner: root.token, of_acme, of_beta, carl, dir }
    }

    /// The command with this world's token, host and port.
    fn substituted(&self, command: &str) -> String {
        let command = command.replace("http://localhost:5000", &self.crm.url);
        let command = command.replace("http://127.0.0.1:7910", &self.plm.url);
        let names = [
            ("<super_admin_token>", &self.owner),
            ("<tenant_admin_token>", &self.of_acme),
            ("<tenant_a_token>", &self.of_acme),
            ("<tenant_b_token>", &self.of_beta),
            ("<token>", &self.of_acme),
            ("<user_id>", &self.carl),
        ];
        let command =
            names.into_iter().fold(command, |command, (name, value)| command.replace(name, value));
        command.replace("<tenant_id>", "acme")
    }

    /// Runs a command as a person at a shell does; answers what it printed,
    /// and the statuses of its requests.
    async fn shell(&self, command: &str) -> (String, Vec<String>) {
        let home = self.dir.to_string_lossy().into_owned();
        let variables = [("HOME".to_owned(), home.clone()), ("PATH".to_owned(), programs())];
        let script = format!("set -o pipefail; cd {home}; {}", self.substituted(command));
        let ran = run("bash", &["-c", &script], variables, b"").await.succeeded();
        let statuses = ran.stderr.lines().filter_map(|line| line.strip_prefix("status "));
        (ran.text().to_owned(), statuses.map(str::to_owned).collect())
    }

    /// Runs a printed request and asserts its outcome.
    async fn replay(&self, command: &str, request: &str, check: Check) {
        let (printed, statuses) = self.shell(command).await;
        assert_eq!(statuses, ["200"], "{command}\n{printed}");
        let answer = match command.contains(" -o tenant-export.json") {
            true => fs::read_to_string(self.dir.join("tenant-export.json")).expect("export"),
            false => printed,
        };
        let answer = serde_json::from_str(&answer).unwrap_or(Value::String(answer));
        assert!(check(&answer), "{request} answered {answer}");
    }

    /// Sends a request of which the document prints no more than its path.
    async fn ask(&self, request: &str, body: Value, check: Check) {
        let (method, path) = request.split_once(' ').expect("request");
        let method = Method::from_bytes(method.as_bytes()).expect("method");
        // Policies are the tenant's own; the rest here is the owner's.
        let token = if request.contains("/policy") { &self.of_acme } else { &self.owner };
        let person = Person::with(self.crm, token.clone());
        let answer = person.send(method, path, &body).await;
        let status = answer.status();
        let text = answer.text().await.expect("body");
        assert_eq!(status, 200, "{request}: {text}");
        let answer = serde_json::from_str(&text).unwrap_or(Value::String(text));
        assert!(check(&answer), "{request} answered {answer}");
    }
}

async fn of_org(api: &Api, tenant: &str) -> String {
    // The only org is meant where none is named.
    let body = json!({"tenant_id": tenant, "username": "ann", "password": PASSWORD});
    let nobody = Person::with(api, "");
    let answer = nobody.post("/api/v1/auth/login", body).await;
    answer["access_token"].as_str().expect("token").to_owned()
}

/// What comes of a request. A sentence may name a path without its method.
fn planned(request: &str) -> Option<&'static (&'static str, Plan)> {
    let path = request.split_once(' ').map(|(_, path)| path);
    let exact = REQUESTS.iter().find(|(known, _)| *known == request);
    let of_path = |known: &str| known.split_once(' ').map(|(_, path)| path) == path;
    exact.or_else(|| REQUESTS.iter().find(|(known, _)| of_path(known)))
}

#[tokio::test]
async fn every_printed_command_does_what_its_runbook_says() {
    let env = locked().await;
    let mut crm = env.api().await;
    let mut plm = env.api_with(&[("YUANTUS_AUTH_MODE", "disabled")]).await;
    let mut worker = env.worker("w", &[]);
    let world = World::make(&env, &crm, &plm).await;
    let (mut met, mut done) = (BTreeSet::new(), 0);
    for Command { document, text, kind } in commands() {
        let context = format!("{document}: {text}");
        match kind {
            Kind::Other => {
                let known = OTHERS.iter().any(|(begin, _)| text.starts_with(begin));
                assert!(known, "{context} is in no list");
            }
            Kind::Script => {
                let (printed, statuses) = world.shell(&text).await;
                assert!(statuses.iter().all(|status| status == "200"), "{context}\n{printed}");
                assert!(!statuses.is_empty(), "{context} asked nobody");
                done += 1;
            }
            Kind::Request(request) => {
                let planned = planned(&request).filter(|(known, _)| *known == request);
                let (_, plan) = planned.unwrap_or_else(|| panic!("{context}: no {request}"));
                match plan {
                    Answers(check) => world.replay(&text, &request, *check).await,
                    Takes(..) => panic!("{context} prints its body"),
                    Later(_) => {}
                }
                done += usize::from(!matches!(plan, Later(_)));
                met.insert(request);
            }
            Kind::Named(request) => {
                let planned = planned(&request);
                let (request, plan) = planned.unwrap_or_else(|| panic!("{context}: no {request}"));
                let request = (*request).to_owned();
                // Of one that is named twice, the second time is no other.
                if !met.insert(request.clone()) {
                    continue;
                }
                match plan {
                    Answers(check) => world.ask(&request, Value::Null, *check).await,
                    Takes(body, check) => world.ask(&request, body(), *check).await,
                    Later(_) => continue,
                }
                done += 1;
            }
        }
    }
    for (request, plan) in REQUESTS {
        if let Later(what) = plan {
            println!("later, with {what}: {request}");
        }
    }
    let unmet: Vec<_> = REQUESTS.iter().filter(|(known, _)| !met.contains(*known)).collect();
    assert!(unmet.is_empty(), "not printed: {:?}", unmet.iter().map(|u| u.0).collect::<Vec<_>>());
    assert!(done >= 40, "only {done} commands were run");

    // What the useful scripts left behind.
    let today = fs::read_dir(world.dir.join("backups")).expect("backups").next().expect("one");
    let today = today.expect("entry").path();
    for tenant in ["acme", "beta", "new-company", "company-name", "tenant-1"] {
        let file = fs::read_to_string(today.join(format!("tenant-{tenant}.json"))).expect(tenant);
        let document: Value = serde_json::from_str(&file).expect("JSON");
        assert_eq!(document["tenant"]["id"], tenant);
    }
    // Those who were provisioned and recorded on the way get in.
    login(&crm, "new-company", "admin@newcompany.com", "secure_password").await;
    login(&crm, "acme", "user@company.com", "password123").await;
    login(&crm, "acme", "carl", "new_password").await;
    settle(&env).await;
    crm.child.terminate().await;
    plm.child.terminate().await;
    worker.terminate().await;
    assert_tidy(&env).await;
}
