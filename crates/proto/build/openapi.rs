//! Completes the generated OpenAPI document with what only we know: the
//! protos' comments, names as our JSON has them (snake_case), the security
//! scheme and the shape of errors.

use std::error::Error;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FileDescriptor, MessageDescriptor,
    MethodDescriptor,
};
use serde_json::{Map, Value, json};

use crate::{problem, routes};

const DESCRIPTION: &str = "Every (tenant, org) has its own PostgreSQL database: made, migrated, \
    backed up and restored here. The same contract is served as gRPC on the same port.";

/// RPCs besides those that create something whose body says what is needed.
const NEEDS_BODY: [&str; 6] =
    ["AddMember", "Login", "LoginToPlatform", "RefreshToken", "ResetPassword", "SwitchOrg"];

/// The document that is served.
pub fn complete(generated: &str, pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut doc: Value = serde_json::from_str(generated)?;
    doc["info"]["description"] = DESCRIPTION.into();
    doc["info"]["license"] = json!({"name": "Apache-2.0", "identifier": "Apache-2.0"});
    doc["security"] = json!([{"bearer": []}]);
    doc["components"]["securitySchemes"] = json!({
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    });
    let mut tags = Vec::new();
    for service in pool.services().filter(|s| s.package_name().starts_with("yuantus.")) {
        let comment = comment(&service.parent_file(), service.path());
        tags.push(json!({"name": service.name(), "description": comment}));
        for method in service.methods() {
            for binding in routes::bindings(pool, &method) {
                let operation = &mut doc["paths"][&binding.template][binding.verb.to_lowercase()];
                if !operation.is_object() {
                    return Err(format!("{} is not in the document", method.full_name()).into());
                }
                describe_operation(operation, &method, service.name());
                describe_request(operation, &method);
            }
        }
    }
    doc["tags"] = tags.into();
    describe_schemas(&mut doc, pool);
    problem::replace_errors(&mut doc);
    Ok(serde_json::to_string_pretty(&doc)?)
}

/// The comment above the element at `path` of `file`, its lines joined.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let source = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = source.map(|info| info.location.as_slice()).unwrap_or_default();
    let found = locations.iter().find(|location| location.path == path);
    let text = found.map(|location| location.leading_comments()).unwrap_or_default();
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn describe_operation(operation: &mut Value, method: &MethodDescriptor, tag: &str) {
    let text = comment(&method.parent_service().parent_file(), method.path());
    let summary = text.split_once(". ").map_or(text.as_str(), |(first, _)| first);
    operation["summary"] = summary.trim_end_matches('.').into();
    operation["description"] = text.as_str().into();
    operation["tags"] = json!([tag]);
    if method.name() == "Login" {
        operation["security"] = json!([]);
    }
    if method.is_server_streaming() {
        let json = operation["responses"]["200"]["content"]["application/json"].clone();
        let item = json["schema"]["items"].clone();
        operation["responses"]["200"]["content"] = json!({
            "application/json": json,
            "application/x-ndjson": {"schema": item},
            "text/event-stream": {"schema": {"type": "string"}},
        });
    }
}

/// Parameters by the protos' names; the key that may stand in a header too;
/// bodies without which a request says all it has to.
fn describe_request(operation: &mut Value, method: &MethodDescriptor) {
    let input = method.input();
    let mut parameters = match operation["parameters"].take() {
        Value::Array(parameters) => parameters,
        _ => Vec::new(),
    };
    for parameter in &mut parameters {
        let name = parameter["name"].as_str().unwrap_or_default();
        let field = input.get_field_by_json_name(name).or_else(|| input.get_field_by_name(name));
        if let Some(field) = field {
            parameter["name"] = field.name().into();
            parameter["description"] = comment(&input.parent_file(), field.path()).into();
        }
    }
    if !method.name().starts_with("Create") && operation.get("requestBody").is_some() {
        let required = NEEDS_BODY.contains(&method.name());
        operation["requestBody"]["required"] = required.into();
    }
    if input.get_field_by_name("request_id").is_some() {
        let key = json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {"type": "string", "maxLength": 128},
            "description": "Stands for an empty `request_id`.",
        });
        parameters.push(key);
    }
    operation["parameters"] = parameters.into();
}

fn describe_schemas(doc: &mut Value, pool: &DescriptorPool) {
    let Some(schemas) = doc["components"]["schemas"].as_object_mut() else {
        return;
    };
    for (name, schema) in schemas.iter_mut() {
        if let Some(message) = pool.get_message_by_name(name) {
            describe_message(schema, &message);
        } else if let Some(enumeration) = pool.get_enum_by_name(name) {
            describe_enum(schema, &enumeration);
        }
    }
}

fn describe_message(schema: &mut Value, message: &MessageDescriptor) {
    let file = message.parent_file();
    let mut properties = Map::new();
    for field in message.fields() {
        let mut property = schema["properties"][field.json_name()].take();
        let text = comment(&file, field.path());
        if property.get("$ref").is_some() && field.cardinality() != Cardinality::Repeated {
            property = json!({"allOf": [property]});
        }
        property["description"] = text.into();
        properties.insert(field.name().to_owned(), property);
    }
    schema["description"] = comment(&file, message.path()).into();
    schema["properties"] = properties.into();
}

fn describe_enum(schema: &mut Value, enumeration: &EnumDescriptor) {
    let file = enumeration.parent_file();
    let mut text = comment(&file, enumeration.path());
    for value in enumeration.values() {
        text.push_str(&format!("\n- `{}`: {}", value.name(), comment(&file, value.path())));
    }
    schema["description"] = text.into();
}
