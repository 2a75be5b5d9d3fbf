//! Jobs as clients of runbook 004's system start and follow them: operations
//! of the org in context.

use axum::{body::Body, extract::Query};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use yuantus_domain::{Error, OrgKey};

use super::{Adapter, Ask, done, json_of, object, route, rpc, text};
use crate::problem::Problem;

/// Where a task's path has the backup.
const BACKUP_ID: &str = "{backup_id}";
/// How many operations are looked through for one that still goes on: more
/// than an org may have waiting.
const LOOKED_THROUGH: u32 = 1000;

/// A kind of job.
struct Task {
    /// Its `task_type`.
    name: &'static str,
    /// The operation's type.
    operation: &'static str,
    /// The RPC that starts it, and where that is below the org; `None` for
    /// what is not started as a job.
    start: Option<(&'static str, &'static str)>,
}

const TASKS: &[Task] = &[
    Task {
        name: "create_backup",
        operation: "CreateBackup",
        start: Some((rpc::CREATE_BACKUP, "/backups")),
    },
    Task {
        name: "verify_backup",
        operation: "VerifyBackup",
        start: Some((rpc::VERIFY_BACKUP, "/backups/{backup_id}:verify")),
    },
    Task {
        name: "apply_migrations",
        operation: "MigrateDatabase",
        start: Some((rpc::APPLY_MIGRATIONS, "/migrations:apply")),
    },
    Task { name: "restore_backup", operation: "RestoreDatabase", start: None },
    Task { name: "create_org", operation: "CreateDatabase", start: None },
];

/// A job's status and the operation's state that it stands for.
const STATUSES: [(&str, &str); 5] = [
    ("pending", "PENDING"),
    ("processing", "RUNNING"),
    ("completed", "SUCCEEDED"),
    ("failed", "FAILED"),
    ("cancelled", "CANCELLED"),
];

/// The routes.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        route: route(rpc::LIST_OPERATIONS, "GET", "/api/v1/jobs"),
        name: "ListJobs",
        about: "Lists the jobs of the org in context, newest first.",
        query: &[
            ("status", "Only those with this status."),
            ("task_type", "Only those of this type."),
            ("page_size", "At most this many, 1 to 1000; 50 if 0."),
            ("page_token", "`next_page_token` of the page before."),
        ],
        body: None,
        answers: || {
            let token = text("Names the next page; empty on the last.");
            let items = json!({"type": "array", "items": schema()});
            done(object(2, &[("items", items), ("next_page_token", token)]))
        },
        run: |ask| Box::pin(list(ask)),
    },
    Adapter {
        route: route(rpc::LIST_OPERATIONS, "POST", "/api/v1/jobs"),
        name: "CreateJob",
        about: "Starts a job of the org in context. `create_backup` and `apply_migrations` take \
            no payload, `verify_backup` takes `{backup_id}`.",
        query: &[],
        body: Some(body),
        answers: || done(schema()),
        run: |ask| Box::pin(create(ask)),
    },
    Adapter {
        route: route(rpc::GET_OPERATION, "GET", "/api/v1/jobs/{job_id}"),
        name: "GetJob",
        about: "Reads a job of the org in context.",
        query: &[],
        body: None,
        answers: || done(schema()),
        run: |ask| Box::pin(get(ask)),
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewJob {
    #[serde(alias = "taskType")]
    task_type: String,
    #[serde(default)]
    payload: Map<String, Value>,
    #[serde(default)]
    dedupe: bool,
    #[serde(default, alias = "requestId")]
    request_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    status: String,
    #[serde(default, alias = "taskType")]
    task_type: String,
    #[serde(default, alias = "pageSize")]
    page_size: String,
    #[serde(default, alias = "pageToken")]
    page_token: String,
}

fn body() -> Value {
    let startable = TASKS.iter().filter(|task| task.start.is_some()).map(|task| task.name);
    let kind = json!({"type": "string", "enum": startable.collect::<Vec<_>>(),
        "description": "What is to be done."});
    let payload = json!({"type": "object", "description": "What it is to be done with.",
        "additionalProperties": false,
        "properties": {"backup_id": {"type": "string", "format": "uuid",
            "description": "The backup; of `verify_backup`."}}});
    let dedupe = json!({"type": "boolean", "description": "Answers the job that does the same \
        already, where there is one that has not ended."});
    object(
        1,
        &[
            ("task_type", kind),
            ("payload", payload),
            ("dedupe", dedupe),
            ("request_id", text("See CreateBackup.")),
        ],
    )
}

fn schema() -> Value {
    let time = |about: &str| json!({"type": ["string", "null"], "format": "date-time", "description": about});
    let number = |about: &str| json!({"type": "integer", "description": about});
    let names = |names: Vec<&str>, about: &str| json!({"type": "string", "enum": names, "description": about});
    let tasks = TASKS.iter().map(|task| task.name).collect();
    object(
        11,
        &[
            ("id", text("The job's id, which is its operation's.")),
            ("task_type", names(tasks, "What it does.")),
            ("status", names(STATUSES.map(|(status, _)| status).into(), "Where it is.")),
            ("tenant_id", text("The tenant it works for.")),
            ("org_id", text("The org it works for.")),
            ("target", text("The resource it makes or works on.")),
            ("attempt_count", number("How many attempts were begun at the present step.")),
            ("max_attempts", number("How many it gets.")),
            (
                "last_error",
                json!({"type": ["string", "null"],
                "description": "Why it failed, or what it waits for."}),
            ),
            ("created_at", time("When it was asked for.")),
            ("started_at", time("When a worker first took it.")),
            ("completed_at", time("When it ended.")),
        ],
    )
}

/// An operation as a job.
fn job(operation: &Value) -> Value {
    let one_of = |field: &str| operation[field].as_str().unwrap_or_default();
    let task = TASKS.iter().find(|task| task.operation == one_of("type"));
    let status = STATUSES.iter().find(|(_, state)| *state == one_of("state"));
    let error = [&operation["error"]["message"], &operation["reason"]]
        .into_iter()
        .find(|text| text.as_str().is_some_and(|text| !text.is_empty()));
    json!({"id": operation["id"], "task_type": task.map(|task| task.name),
        "status": status.map(|(status, _)| status), "tenant_id": operation["tenant_id"],
        "org_id": operation["org_id"], "target": operation["target"],
        "attempt_count": operation["attempt"], "max_attempts": operation["max_attempts"],
        "last_error": error, "created_at": operation["created_at"],
        "started_at": operation["started_at"], "completed_at": operation["finished_at"]})
}

async fn list(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let org = ask.org()?;
    let Query(which) = Query::<Which>::try_from_uri(&ask.asked.parts.uri)
        .map_err(|error| ask.problem(Error::invalid("query", error.body_text())))?;
    let filter = which.filter().map_err(|error| ask.problem(error))?;
    let page = operations(ask, &org, &filter).await?;
    let items: Vec<Value> = page["operations"].as_array().into_iter().flatten().map(job).collect();
    let page = json!({"items": items, "next_page_token": page["next_page_token"]});
    Ok(json_of(StatusCode::OK, &page))
}

impl Which {
    /// The same, asked of operations.
    fn filter(&self) -> yuantus_domain::Result<String> {
        let mut filter = String::new();
        if !self.status.is_empty() {
            let known = STATUSES.iter().find(|(status, _)| *status == self.status);
            let rule = "must be pending, processing, completed, failed or cancelled";
            let (_, state) = known.ok_or_else(|| Error::invalid("status", rule))?;
            filter += &format!("&state={state}");
        }
        if !self.task_type.is_empty() {
            let known = TASKS.iter().find(|task| task.name == self.task_type);
            let task = known.ok_or_else(|| unknown_task(TASKS.iter()))?;
            filter += &format!("&type={}", task.operation);
        }
        for (name, value) in [("page_size", &self.page_size), ("page_token", &self.page_token)] {
            if !value.chars().all(|c| c.is_ascii_alphanumeric() || "-_=".contains(c)) {
                return Err(Error::invalid(name, "is not one of a page"));
            }
            if !value.is_empty() {
                filter += &format!("&{name}={value}");
            }
        }
        Ok(filter)
    }
}

fn unknown_task<'a>(known: impl Iterator<Item = &'a Task>) -> Error {
    let known: Vec<&str> = known.map(|task| task.name).collect();
    Error::invalid("task_type", format!("must be one of {}", known.join(", ")))
}

async fn operations(ask: &Ask<'_>, org: &OrgKey, filter: &str) -> Result<Value, Problem> {
    let OrgKey { tenant, org } = org;
    let target = format!("/api/v1/operations?tenant_id={tenant}&org_id={org}{filter}");
    ask.call(rpc::LIST_OPERATIONS, &Method::GET, target, None).await
}

async fn create(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let org = ask.org()?;
    let mut new: NewJob = ask.fields()?;
    let startable = || TASKS.iter().filter(|task| task.start.is_some());
    let task = startable().find(|task| task.name == new.task_type);
    let Some((task, (rpc, path))) = task.and_then(|task| Some((task, task.start?))) else {
        return Err(ask.problem(unknown_task(startable())));
    };
    let backup = match path.contains(BACKUP_ID) {
        true => backup_id(&mut new.payload).map_err(|error| ask.problem(error))?,
        false => String::new(),
    };
    if new.dedupe {
        match same(ask, &org, task, &backup).await? {
            Same::GoesOn(operation) => return Ok(json_of(StatusCode::OK, &job(&operation))),
            Same::Ended(key) if new.request_id.is_empty() => new.request_id = key,
            Same::Ended(_) => {}
        }
    }
    let mut body = Value::Object(new.payload);
    if !new.request_id.is_empty() {
        body["request_id"] = new.request_id.into();
    }
    let path = path.replace(BACKUP_ID, &backup);
    let target = format!("/api/v1/tenants/{}/orgs/{}{path}", org.tenant, org.org);
    let operation = ask.call(rpc, &Method::POST, target, Some(&body)).await?;
    Ok(json_of(StatusCode::OK, &job(&operation)))
}

fn backup_id(payload: &mut Map<String, Value>) -> yuantus_domain::Result<String> {
    let id = payload.remove("backup_id").or_else(|| payload.remove("backupId"));
    let id = id.as_ref().and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok());
    let id = id.ok_or_else(|| Error::invalid("payload.backup_id", "must be a backup's id"))?;
    Ok(id.to_string())
}

/// What is known of a job that does the same.
enum Same {
    /// It has not ended.
    GoesOn(Value),
    /// All have, if there was one. Whoever finds that at the same time makes a
    /// request with the same key, and gets the same job.
    Ended(String),
}

async fn same(ask: &Ask<'_>, org: &OrgKey, task: &Task, backup: &str) -> Result<Same, Problem> {
    let filter = format!("&type={}&page_size={LOOKED_THROUGH}", task.operation);
    let page = operations(ask, org, &filter).await?;
    let all = || page["operations"].as_array().into_iter().flatten();
    let goes_on = |operation: &&Value| {
        matches!(operation["state"].as_str(), Some("PENDING" | "RUNNING"))
            && operation["cancel_requested"] != true
            && operation["target"].as_str().is_some_and(|target| target.ends_with(backup))
    };
    if let Some(operation) = all().find(goes_on) {
        return Ok(Same::GoesOn(operation.clone()));
    }
    let newest = all().next().and_then(|operation| operation["id"].as_str()).unwrap_or("none");
    let all = format!("{}/{}/{backup}/{newest}", org.org, task.name);
    Ok(Same::Ended(format!("job-{}", URL_SAFE_NO_PAD.encode(Sha256::digest(all)))))
}

async fn get(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let org = ask.org()?;
    let id = ask.segment("job_id");
    let target = format!("/api/v1/operations/{id}");
    let operation = ask.call(rpc::GET_OPERATION, &Method::GET, target, None).await?;
    let of_org =
        operation["tenant_id"] == org.tenant.as_str() && operation["org_id"] == org.org.as_str();
    if !of_org {
        return Err(ask.problem(Error::not_found("job", id)));
    }
    Ok(json_of(StatusCode::OK, &job(&operation)))
}
