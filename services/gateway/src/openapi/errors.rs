//! The errors that answers can be.

use serde_json::{Map, Value, json};

/// Status, name in the document, gRPC code, and a reason, what it tells.
const ERRORS: &[(u16, &str, &str, &str, &str)] = &[
    (400, "BadRequest", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "The request breaks a rule."),
    (401, "Unauthenticated", "UNAUTHENTICATED", "UNAUTHENTICATED", "Nobody was authenticated."),
    (403, "Forbidden", "PERMISSION_DENIED", "PERMISSION_DENIED", "The caller may not do this."),
    (404, "NotFound", "NOT_FOUND", "NOT_FOUND", "There is no such thing."),
    (408, "BodyTimeout", "DEADLINE_EXCEEDED", "BODY_TIMEOUT", "The body did not arrive in time."),
    (409, "Conflict", "ALREADY_EXISTS", "ALREADY_EXISTS", "It exists, or has changed meanwhile."),
    (412, "Precondition", "FAILED_PRECONDITION", "DATABASE_NOT_READY", "Not as things are now."),
    (413, "BodyTooLarge", "RESOURCE_EXHAUSTED", "BODY_TOO_LARGE", "The body is over 1 MiB."),
    (415, "NotJson", "INVALID_ARGUMENT", "NOT_JSON", "Bodies must be application/json in UTF-8."),
    (429, "TooMany", "RESOURCE_EXHAUSTED", "LANE_FULL", "Too much at once, or over a quota."),
    (500, "Internal", "INTERNAL", "INTERNAL", "Our failure; `request_id` finds it in the logs."),
    (503, "Unavailable", "UNAVAILABLE", "IDENTITY_DATABASE", "Not now; `Retry-After` says when."),
    (504, "Timeout", "DEADLINE_EXCEEDED", "REQUEST_TIMEOUT", "It took too long and was given up."),
];

/// A reference to the error of a status; the general one where it has none.
pub fn reference(status: u16) -> Value {
    let found = ERRORS.iter().find(|(known, ..)| *known == status);
    let name = found.map_or("Problem", |(_, name, ..)| name);
    json!({"$ref": format!("#/components/responses/{name}")})
}

/// Describes all of them.
pub fn add(doc: &mut Value) {
    let mut responses = doc["components"]["responses"].take();
    let general = &mut responses["Problem"];
    general["headers"] = headers(0);
    for (status, name, code, reason, description) in ERRORS {
        let example = json!({
            "type": "about:blank",
            "title": title(*status),
            "status": status,
            "detail": description,
            "code": code,
            "reason": reason,
            "request_id": "0197c3f0-7a1c-7e5e-9d6b-2f4a8c1d3e5f",
        });
        responses[*name] = json!({
            "description": description,
            "headers": headers(*status),
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": example,
            }},
        });
    }
    doc["components"]["responses"] = responses;
    doc["components"]["headers"] = json!({
        "x-request-id": {
            "description": "The request's id in the logs: the client's or ours.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        },
        "etag": {
            "description": "For `If-None-Match`.",
            "schema": {"type": "string", "pattern": "^W/\"[0-9a-f]{32}\"$"},
        },
        "retry-after": {
            "description": "After how many seconds to try again.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "www-authenticate": {
            "description": "How to authenticate.",
            "schema": {"type": "string"},
        },
    });
}

fn title(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Error")
}

fn headers(status: u16) -> Value {
    let mut names = vec!["x-request-id"];
    match status {
        401 => names.push("www-authenticate"),
        429 | 503 => names.push("retry-after"),
        _ => {}
    }
    let reference = |name: &str| json!({"$ref": format!("#/components/headers/{name}")});
    let named = names.into_iter().map(|name| (name.to_owned(), reference(name)));
    Value::Object(named.collect::<Map<_, _>>())
}
