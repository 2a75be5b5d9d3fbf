//! One method of one path.

use serde_json::{Value, json};
use yuantus_proto::{
    access::{self, Permission, Scope},
    rest::Route,
};

use super::{errors, examples, limits};

/// Completes the operation that `route` is; `schemas` are the contract's.
pub fn complete(operation: &mut Value, route: &Route, schemas: &Value) {
    let access = access::access_of(route.rpc);
    let public = access.is_some_and(|access| access.permission == Permission::Public);
    let contextual = access.is_some_and(|access| {
        access.scope == Scope::Org || (access.scope == Scope::Tenant && !named(route))
    });
    operation["security"] =
        if public { json!([]) } else { json!([{"bearer": []}, {"api_key": []}]) };
    body(operation, route, schemas);
    parameters(operation, contextual);
    let statuses = statuses(operation, route, public, contextual);
    answers(operation, route, &statuses);
}

/// Whether the path names the tenant.
fn named(route: &Route) -> bool {
    route.template.contains("{tenant_id}")
}

/// The body without what the path says, its fields limited and none besides.
fn body(operation: &mut Value, route: &Route, schemas: &Value) {
    let content = &operation["requestBody"]["content"]["application/json"]["schema"];
    let Some(name) = content["$ref"].as_str().and_then(|name| name.rsplit('/').next()) else {
        return;
    };
    let message = name.rsplit('.').next().unwrap_or(name).to_owned();
    let mut schema = schemas[name].clone();
    let required = limits::required(&message);
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.retain(|field, _| !route.template.contains(&format!("{{{field}}}")));
        for (field, property) in fields {
            limits::apply(property, &message, field, required.contains(&field.as_str()));
        }
    }
    schema["additionalProperties"] = false.into();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["title"] = message.into();
    examples::add(&mut schema);
    operation["requestBody"] = json!({
        "required": !required.is_empty(),
        "content": {"application/json": {"schema": schema}},
    });
}

/// Limits of parameters, and the headers that say whose data is meant.
fn parameters(operation: &mut Value, contextual: bool) {
    let Value::Array(mut parameters) = operation["parameters"].take() else {
        return;
    };
    let message = operation["operationId"].as_str().map(|name| format!("{name}Request"));
    let message = message.unwrap_or_default();
    for parameter in &mut parameters {
        let field = parameter["name"].as_str().unwrap_or_default().to_owned();
        let required = parameter["in"] == "path";
        limits::apply(&mut parameter["schema"], &message, &field, required);
        if let Some(example) = examples::of(&field, &parameter["schema"]) {
            parameter["example"] = example;
        }
    }
    if contextual {
        for (name, what) in [("x-tenant-id", "tenant"), ("x-org-id", "org")] {
            let mut schema = json!({"type": "string"});
            limits::apply(&mut schema, &message, &format!("{what}_id"), false);
            parameters.push(json!({
                "name": name, "in": "header", "required": false, "schema": schema,
                "description": format!("The {what} that is meant, where the token does not say."),
            }));
        }
    }
    operation["parameters"] = parameters.into();
}

/// The errors that this operation can answer.
fn statuses(operation: &Value, route: &Route, public: bool, contextual: bool) -> Vec<u16> {
    let writes = route.verb != "GET";
    let mut statuses = vec![400, 500, 503, 504];
    if !public {
        statuses.extend([401, 403]);
    }
    if public && writes {
        statuses.extend([401, 403, 429]);
    }
    if contextual || route.template.contains('{') {
        statuses.push(404);
    }
    if operation.get("requestBody").is_some() {
        statuses.extend([408, 413, 415]);
    }
    if writes && !public {
        statuses.extend([404, 409, 412, 429]);
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn answers(operation: &mut Value, route: &Route, statuses: &[u16]) {
    let found = &mut operation["responses"];
    found["200"]["description"] = "Done.".into();
    found["200"]["headers"] =
        json!({"x-request-id": {"$ref": "#/components/headers/x-request-id"}});
    if route.verb == "GET" && !route.streams {
        found["200"]["headers"]["etag"] = json!({"$ref": "#/components/headers/etag"});
        found["304"] = json!({
            "description": "The client has it: `If-None-Match` holds its tag.",
            "headers": {
                "x-request-id": {"$ref": "#/components/headers/x-request-id"},
                "etag": {"$ref": "#/components/headers/etag"},
            },
        });
    }
    for status in statuses {
        found[status.to_string()] = errors::reference(*status);
    }
}
