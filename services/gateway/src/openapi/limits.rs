//! What the fields of requests may hold, by their names: a name means the same
//! in every request.

use serde_json::{Value, json};
use yuantus_domain::id::RESERVED;

/// Letters and digits, between them `-` or single `_`.
const ID: &str = "[a-z0-9]+(?:(?:_|_?(?:-_?)+)[a-z0-9]+)*";
const USERNAME: &str = "[A-Za-z0-9._@+-]{1,64}";
/// Text without control characters.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// The same, and not only spaces.
const SAYING: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[!-~][^\u0000-\u001f\u007f-\u009f]*$";

/// The fields that a request cannot do without.
pub fn required(message: &str) -> &'static [&'static str] {
    match message {
        "CreateTenantRequest" | "CreateOrgRequest" => &["id"],
        "LoginRequest" | "LoginToPlatformRequest" | "ResetPasswordRequest" => &["password"],
        "ChangePasswordRequest" => &["current_password", "password"],
        "RefreshTokenRequest" => &["refresh_token"],
        "CreateUserRequest" => &["username", "password"],
        "CreateCustomerRequest" | "CreateApiKeyRequest" => &["name"],
        "UpdatePolicyRequest" => &["policy"],
        "RestoreTenantRequest" => &["format", "tenant"],
        "SwitchOrgRequest" => &["org_id"],
        _ => &[],
    }
}

/// Adds to a field's schema what limits it. Empty text in a field that is not
/// `required` is as good as none.
pub fn apply(schema: &mut Value, message: &str, field: &str, required: bool) {
    let Some(limit) = limit(message, field, required) else {
        return;
    };
    let (Some(schema), Value::Object(limit)) = (schema.as_object_mut(), limit) else {
        return;
    };
    schema.extend(limit);
}

fn limit(message: &str, field: &str, required: bool) -> Option<Value> {
    let creates = message.starts_with("Create");
    Some(match field {
        "id" if creates => json!({
            "pattern": format!("^{ID}$"), "minLength": 1, "maxLength": 64,
            "not": {"enum": RESERVED},
        }),
        "area" | "tenant_id" | "org_id" | "target_tenant_id" | "target_org_id"
        | "default_org_id" => {
            json!({"pattern": whole(ID, required), "maxLength": 64})
        }
        "operation_id" | "job_id" | "backup_id" | "customer_id" | "api_key_id" | "file_id" => {
            json!({"format": "uuid"})
        }
        "user_id" if required => json!({"minimum": 1}),
        "user_id" => json!({"minimum": 0}),
        "username" | "admin_username" => json!({"pattern": whole(USERNAME, required)}),
        "password" | "current_password" | "admin_password" => {
            json!({"minLength": usize::from(required), "maxLength": 1024, "format": "password"})
        }
        // Nothing, or somebody at one host.
        "email" if message.ends_with("CustomerRequest") => {
            json!({"maxLength": 254, "pattern": r"^(?:[!-?A-~]+@[!-?A-~]+)?$"})
        }
        "name" if message.ends_with("CustomerRequest") => {
            json!({"minLength": 1, "maxLength": 200, "pattern": SAYING})
        }
        "name" if message == "CreateApiKeyRequest" => json!({"pattern": whole(USERNAME, true)}),
        "role" => json!({"enum": ["", "member", "tenant_admin", "platform_admin"]}),
        "ttl_seconds" => json!({"minimum": 0}),
        "refresh_token" => json!({"minLength": 1}),
        "phone" => json!({"maxLength": 50, "pattern": LINE}),
        "notes" => json!({"maxLength": 10_000, "pattern": r"^[^\u0000]*$"}),
        "name" => json!({"maxLength": 200, "pattern": LINE}),
        "email" | "admin_email" => json!({"maxLength": 254, "pattern": LINE}),
        "plan" => json!({"enum": ["", "basic", "pro", "enterprise"]}),
        "page_size" => json!({"minimum": 0, "maximum": 1000, "default": 0}),
        "timeout_seconds" => json!({"minimum": 0, "maximum": 300, "default": 0}),
        "request_id" | "Idempotency-Key" => {
            json!({"maxLength": 128, "pattern": "^[!-~]*$"})
        }
        "page_token" => json!({"maxLength": 1024}),
        _ => return None,
    })
}

fn whole(pattern: &str, required: bool) -> String {
    if required { format!("^{pattern}$") } else { format!("^(?:{pattern})?$") }
}
