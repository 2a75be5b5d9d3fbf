//! Orgs that are waited for.

use axum::body::Body;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tonic::Code;

use super::{Ask, done, json_of, message, rpc};
use crate::problem::Problem;

/// How long a request waits for a database.
const SECONDS: u32 = 20;

/// Creates an org and waits for its database; answers the operation.
pub async fn org(
    ask: &Ask<'_>,
    tenant: &str,
    id: &str,
    name: &str,
    request_id: &str,
) -> Result<Value, Problem> {
    let target = format!("/api/v1/tenants/{tenant}/orgs");
    let create = json!({"id": id, "name": name, "request_id": request_id});
    let begun = ask.call(rpc::CREATE_ORG, &Method::POST, target, Some(&create)).await?;
    let id = begun["id"].as_str().unwrap_or_default();
    let target = format!("/api/v1/operations/{id}:wait");
    let wait = json!({"timeout_seconds": SECONDS});
    let operation = ask.call(rpc::WAIT_OPERATION, &Method::POST, target, Some(&wait)).await?;
    match operation["state"].as_str() {
        Some("FAILED" | "CANCELLED") => Err(failed(&operation)),
        _ => Ok(operation),
    }
}

fn failed(operation: &Value) -> Problem {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (id, cause) = (text(&operation["id"]), text(&operation["error"]["message"]));
    let detail = format!("the org's database was not made (operation {id}): {cause}");
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, Code::Unavailable, "PROVISIONING_FAILED", detail)
}

/// What was made, and `more`: 200 where it can be used, otherwise 202 with the
/// operation.
pub fn respond(
    mut made: Value,
    more: Value,
    operation: Option<Value>,
) -> Result<Response<Body>, Problem> {
    let (Some(fields), Value::Object(more)) = (made.as_object_mut(), more) else {
        return Err(Problem::panicked());
    };
    fields.extend(more);
    let ready = operation.as_ref().is_none_or(|operation| operation["state"] == "SUCCEEDED");
    fields.insert("operation".to_owned(), operation.unwrap_or_default());
    Ok(json_of(if ready { StatusCode::OK } else { StatusCode::ACCEPTED }, &made))
}

/// That in the OpenAPI document.
pub fn answers(made: Value) -> Value {
    let more = json!({"type": "object", "description": "And the operation that made it.",
        "properties": {"operation": {"oneOf": [message("Operation"), {"type": "null"}]}}});
    let schema = json!({"allOf": [made, more]});
    let mut answers = done(schema.clone());
    answers["202"] = json!({"description": "Its database is still being made.",
        "content": {"application/json": {"schema": schema}}});
    answers
}
