//! The OpenAPI document that is served: the contract's, and what only the
//! front door knows: who may call what, the errors it answers, its own paths,
//! and the limits of what requests hold.
//!
//! Invariant: the document is true. What it says a request may hold is taken,
//! what it says it may not is refused, and every answer is one it names.

mod adapters;
mod errors;
mod examples;
mod limits;
mod operation;
mod paths;

use std::{collections::BTreeSet, sync::LazyLock};

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Map, Value, json};
use yuantus_proto::{OPENAPI, rest::ROUTES};

use crate::{conditional, numbers};

/// The document as it is sent.
pub struct Document {
    /// JSON.
    pub json: Bytes,
    /// Its entity tag.
    pub tag: Option<HeaderValue>,
}

/// The document; it is the same for everybody.
pub static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let json = Bytes::from(build().to_string());
    Document { tag: conditional::tag(&json), json }
});

/// Completes the contract's document.
pub fn build() -> Value {
    // The contract's build wrote it: it is JSON.
    let mut doc: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    let schemas = doc["components"]["schemas"].clone();
    let mut names = BTreeSet::new();
    for route in ROUTES {
        let operation = &mut doc["paths"][route.template][route.verb.to_lowercase()];
        operation::complete(operation, route, &schemas);
        rename(operation, &mut names);
    }
    numbers::describe(&mut doc["components"]["schemas"]);
    adapters::add(&mut doc);
    paths::add(&mut doc);
    errors::add(&mut doc);
    doc["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "A token of `Login`, or an API key.",
        },
        "api_key": {
            "type": "apiKey", "in": "header", "name": "x-api-key",
            "description": "An API key, for machines.",
        },
    });
    doc["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    for tag in doc["tags"].as_array_mut().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        tag["x-displayName"] = name.strip_suffix("Service").unwrap_or(name).into();
    }
    drop_unused(&mut doc);
    for schema in objects(&mut doc["components"]["schemas"]) {
        examples::add(schema);
    }
    doc
}

/// Several routes of one RPC need names of their own.
fn rename(operation: &mut Value, names: &mut BTreeSet<String>) {
    let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let mut unique = name.clone();
    for number in 2.. {
        if names.insert(unique.clone()) {
            break;
        }
        unique = format!("{name}{number}");
    }
    operation["operationId"] = unique.into();
}

/// Messages that no path leads to.
fn drop_unused(doc: &mut Value) {
    loop {
        let text = doc.to_string();
        let Some(schemas) = doc["components"]["schemas"].as_object_mut() else {
            return;
        };
        let before = schemas.len();
        schemas.retain(|name, _| text.contains(&format!("\"#/components/schemas/{name}\"")));
        if schemas.len() == before {
            return;
        }
    }
}

/// The values of an object.
fn objects(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(Map::values_mut)
}
