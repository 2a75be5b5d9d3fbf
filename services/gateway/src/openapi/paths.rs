//! The paths that are no RPC.

use serde_json::{Value, json};

use super::errors;

/// Describes them.
pub fn add(doc: &mut Value) {
    let tag = json!({"name": "Health", "description": "Whether we and what we need are there."});
    if let Some(tags) = doc["tags"].as_array_mut() {
        tags.push(tag);
    }
    let mut put = |path: &str, name: &str, text: &str, content: Value, more: &[u16]| {
        let mut responses = json!({"200": {"description": "Done.", "content": content}});
        for status in more {
            responses[status.to_string()] = errors::reference(*status);
        }
        doc["paths"][path]["get"] = json!({
            "operationId": name,
            "summary": text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.'),
            "description": text,
            "tags": ["Health"],
            "security": [],
            "parameters": [],
            "responses": responses,
        });
    };
    let text = || json!({"text/plain": {"schema": {"const": "ok"}}});
    let ready = || {
        json!({"application/json": {"schema": {
            "type": "object", "required": ["ok"], "properties": {"ok": {"const": true}},
        }}})
    };
    put("/healthz", "IsAlive", "Whether the process is alive. Asks nobody else.", text(), &[]);
    let about = "This document.";
    let document = json!({"application/json": {"schema": {"type": "object"}}});
    put("/api/v1/openapi.json", "GetOpenApi", about, document, &[]);
    let about = "Whether requests can be served: the identity database answers.";
    put("/readyz", "IsReady", about, ready(), &[503]);
    put("/api/v1/health/ready", "IsReady2", about, ready(), &[503]);
    let about = "Which server this is, and the tenant and org that the headers name.";
    put("/api/v1/health", "GetHealth", about, json_of(health()), &[400]);
    put("/api/health", "GetHealth2", about, json_of(health()), &[400]);
    let about = "Whether what we depend on is there, one by one. `db` is the org's own database \
        where the headers name one.";
    put("/api/v1/health/deps", "GetDependencies", about, json_of(dependencies()), &[400]);
    gate(doc);
    for path in ["/api/health", "/api/v1/health", "/api/v1/health/deps"] {
        doc["paths"][path]["get"]["parameters"] = json!([context("tenant"), context("org")]);
    }
}

/// Where proxies ask. They use any method; one stands for all.
fn gate(doc: &mut Value) {
    let mut responses = json!({"200": {
        "description": "The request may pass; whose it is, for the proxy to set.",
        "headers": {
            "x-tenant-id": {"schema": {"type": "string"}, "description": "The tenant."},
            "x-org-id": {"schema": {"type": "string"}, "description": "The org."},
            "x-yuantus-database": {
                "schema": {"type": "string"}, "description": "The org's database.",
            },
        },
    }});
    for status in [400, 401, 403, 404, 500, 503, 504] {
        responses[status.to_string()] = errors::reference(status);
    }
    responses["default"] = errors::reference(0);
    doc["paths"][crate::gate::PATH]["get"] = json!({
        "operationId": "AuthorizeRequest",
        "summary": "Whether a request may pass",
        "description": "Whether a request may pass, for nginx's `auth_request` and Traefik's \
            ForwardAuth. The headers are those of the original request.",
        "tags": ["Gate"],
        "security": [{"bearer": []}, {"api_key": []}],
        "parameters": [context("tenant"), context("org")],
        "responses": responses,
    });
    if let Some(tags) = doc["tags"].as_array_mut() {
        tags.push(json!({"name": "Gate", "description": "Decisions for proxies."}));
    }
}

/// The header that names a tenant or an org.
pub fn context(what: &str) -> Value {
    let mut schema = json!({"type": "string"});
    super::limits::apply(&mut schema, "", &format!("{what}_id"), false);
    json!({
        "name": format!("x-{what}-id"), "in": "header", "required": false, "schema": schema,
        "description": format!("The {what} that is meant."),
    })
}

fn json_of(schema: Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn health() -> Value {
    let (text, maybe) = (json!({"type": "string"}), json!({"type": ["string", "null"]}));
    json!({
        "type": "object",
        "required": ["ok", "service", "version", "tenant_id", "org_id", "tenancy_mode",
            "schema_mode", "audit_enabled"],
        "properties": {
            "ok": {"const": true}, "service": text, "version": text, "tenant_id": maybe,
            "org_id": maybe, "tenancy_mode": text, "schema_mode": text,
            "audit_enabled": {"type": "boolean"},
        },
    })
}

fn dependencies() -> Value {
    let (truth, text) = (json!({"type": "boolean"}), json!({"type": "string"}));
    let one = json!({
        "type": "object", "required": ["ok"], "properties": {"ok": truth, "error": text},
    });
    let storage = json!({
        "type": "object", "required": ["ok", "type", "bucket", "endpoint_url"],
        "properties": {
            "ok": truth, "error": text, "type": {"const": "s3"}, "bucket": text,
            "endpoint_url": {"type": ["string", "null"]},
        },
    });
    json!({
        "type": "object",
        "required": ["ok", "deps", "external"],
        "properties": {
            "ok": truth,
            "deps": {
                "type": "object", "required": ["db", "identity_db", "storage"],
                "properties": {"db": one, "identity_db": one, "storage": storage},
            },
            "external": {"type": "object"},
        },
    })
}
