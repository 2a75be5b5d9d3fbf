//! Examples, by the names of fields.

use serde_json::{Value, json};

const ID: &str = "0197c3f0-7a1c-7e5e-9d6b-2f4a8c1d3e5f";
const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// Gives every field of a message that has none an example.
pub fn add(schema: &mut Value) {
    // Indexing would put in what is not there.
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (field, property) in fields.into_iter().flatten() {
        if property.get("examples").is_none()
            && let Some(example) = of(field, property)
        {
            property["examples"] = json!([example]);
        }
    }
}

/// An example of a field; `None` where its type says enough.
pub fn of(field: &str, schema: &Value) -> Option<Value> {
    if schema["format"] == "date-time" {
        return Some("2026-01-31T12:00:00Z".into());
    }
    if schema["type"] == "array" || schema.get("allOf").is_some() || schema.get("enum").is_some() {
        return None;
    }
    if schema["format"] == "int64" {
        return Some("1048576".into());
    }
    Some(match field {
        "id" if schema.get("pattern").is_some() => "acme".into(),
        "tenant_id" | "target_tenant_id" => "acme".into(),
        "org_id" | "target_org_id" => "hq".into(),
        "operation_id" | "backup_id" | "customer_id" | "file_id" | "session_id" | "api_key_id" => {
            ID.into()
        }
        "filename" => "drawing.pdf".into(),
        "content_type" => "application/pdf".into(),
        "checksum" => HASH.into(),
        "user_id" => 7.into(),
        "username" | "admin_username" => "ann".into(),
        "name" => "Acme Inc.".into(),
        "email" | "admin_email" => "ann@acme.example".into(),
        "password" | "current_password" | "admin_password" => "correct horse battery staple".into(),
        "database" => "yuantus_mt_pg__acme__hq".into(),
        "host" => "db.example.org".into(),
        "port" => 5432.into(),
        "url" => "postgresql://hq:secret@db.example.org:5432/yuantus_mt_pg__acme__hq".into(),
        "target" => format!("tenants/acme/orgs/hq/backups/{ID}").into(),
        "token_type" => "bearer".into(),
        "expires_in" => 3600.into(),
        "dump_sha256" | "bundle_fingerprint" | "fingerprint" => HASH.into(),
        "server_version" => "15.18".into(),
        "page_size" => 50.into(),
        "timeout_seconds" => 30.into(),
        _ => return None,
    })
}
