//! What the adapters and the upload answer.

use serde_json::{Value, json};
use yuantus_proto::{
    access::{Scope, access_of},
    rest::Route,
};

use super::{errors, examples, limits};
use crate::{adapters, upload};

/// Describes them.
pub fn add(doc: &mut Value) {
    for adapter in adapters::all() {
        let route = &adapter.route;
        let body = adapter.body.map(|schema| {
            let mut schema = schema();
            examples::add(&mut schema);
            json!({"required": true, "content": {"application/json": {"schema": schema}}})
        });
        let answers = (adapter.answers)();
        let mut operation = describe(route, adapter.name, adapter.about, body, answers);
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            parameters.extend(adapter.query.iter().map(query));
        }
        doc["paths"][route.template][route.verb.to_lowercase()] = operation;
    }
    let (template, about) = (
        upload::ROUTE.template,
        "Takes a file, as the part `file` of a form. \
        It is kept only if all of it comes.",
    );
    let form = json!({
        "type": "object", "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary", "description": "The file."}},
    });
    let body = json!({"required": true, "content": {"multipart/form-data": {"schema": form}}});
    let file = json!({"$ref": "#/components/schemas/yuantus.controlplane.v1.File"});
    let answers = json!({"200": {"description": "Done.",
        "content": {"application/json": {"schema": file}}}});
    doc["paths"][template]["post"] =
        describe(&upload::ROUTE, "UploadFile", about, Some(body), answers);
}

fn describe(route: &Route, name: &str, about: &str, body: Option<Value>, answers: Value) -> Value {
    let scope = access_of(route.rpc).map_or(Scope::Org, |access| access.scope);
    let mut responses = answers;
    let mut statuses = vec![400, 401, 403, 404, 500, 503, 504];
    if route.verb != "GET" {
        statuses.extend([409, 412, 429]);
    }
    if body.is_some() {
        statuses.extend([408, 413, 415]);
    }
    for status in statuses {
        responses[status.to_string()] = errors::reference(status);
    }
    responses["default"] = errors::reference(0);
    let service = route.rpc.rsplit(['.', '/']).nth(1).unwrap_or_default();
    let mut operation = json!({
        "operationId": name,
        "summary": about.split_once(". ").map_or(about, |(first, _)| first).trim_end_matches('.'),
        "description": about,
        "tags": [service],
        "security": [{"bearer": []}, {"api_key": []}],
        "parameters": parameters(route, scope),
        "responses": responses,
    });
    if let Some(body) = body {
        operation["requestBody"] = body;
    }
    operation
}

fn query((name, about): &(&str, &str)) -> Value {
    let mut schema = match *name {
        "page_size" => json!({"type": "integer"}),
        _ => json!({"type": "string"}),
    };
    limits::apply(&mut schema, "", name, false);
    json!({"name": name, "in": "query", "schema": schema, "description": about})
}

fn parameters(route: &Route, scope: Scope) -> Value {
    let names = route
        .template
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')));
    let mut found: Vec<Value> = names
        .map(|name| {
            let mut schema = json!({"type": if name == "user_id" { "integer" } else { "string" }});
            limits::apply(&mut schema, "", name, true);
            json!({"name": name, "in": "path", "required": true, "schema": schema,
                "description": format!("The {}.", name.replace('_', " "))})
        })
        .collect();
    if scope != Scope::None && !route.template.contains("{tenant_id}") {
        found.extend(["tenant", "org"].map(super::paths::context));
    }
    found.into()
}
