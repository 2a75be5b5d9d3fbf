//! How the OpenAPI document tells of errors.

use serde_json::{Map, Value, json};

/// Every error is a problem document, not a `google.rpc.Status`.
pub fn replace_errors(doc: &mut Value) {
    if let Some(schemas) = doc["components"]["schemas"].as_object_mut() {
        schemas.remove("google.rpc.Status");
        schemas.insert("Problem".to_owned(), problem_schema());
    }
    doc["components"]["responses"] = json!({
        "Problem": {
            "description": "What went wrong; `reason` is stable, `detail` is for people.",
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"}
            }},
        }
    });
    let paths = doc["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        operation["responses"]["default"] = json!({"$ref": "#/components/responses/Problem"});
    }
}

fn problem_schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "reason", "request_id"],
        "properties": {
            "type": text("Always `about:blank`: `reason` tells problems apart."),
            "title": text("The HTTP status in words."),
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": text("What happened, for people."),
            "code": text("The gRPC code, such as `NOT_FOUND`."),
            "reason": text("Stable and upper-case, for programs."),
            "request_id": text("The id this request has in the logs."),
            "field": text("The field that breaks a rule, where one does."),
        },
    })
}
