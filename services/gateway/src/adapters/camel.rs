//! Tenants as the CRM's runbooks (002, 003) create and list them: camelCase,
//! and lists that are bare arrays.

use axum::body::Body;
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use yuantus_domain::Error;

use super::{Adapter, Ask, done, json_of, message, object, provision, route, rpc, text, waiting};
use crate::problem::Problem;

/// The org that a tenant is provisioned with.
const ORG: &str = "main";
/// The area of the policy that keeps whom to ask for at a tenant.
const CONTACT: &str = "contact";
/// How many tenants of one name there may be.
const SAME_NAME: u32 = 100;
/// The longest id that is made of a name, so that a number has room behind it.
const SLUG: usize = 48;
/// The longest address of a contact, in characters.
const MAX_ADDRESS: usize = 320;
/// The longest name of an administrator, in characters.
const MAX_NAME: usize = 200;

/// The routes.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        route: route(rpc::LIST_TENANTS, "GET", "/api/admin/tenants"),
        name: "ListTenantsShort",
        about: "Lists all tenants.",
        query: &[],
        body: None,
        answers: || done(json!({"type": "array", "items": schema()})),
        run: |ask| Box::pin(list(ask)),
    },
    Adapter {
        route: route(rpc::GET_TENANT, "GET", "/api/admin/tenants/{tenant_id}"),
        name: "GetTenantShort",
        about: "Reads one tenant.",
        query: &[],
        body: None,
        answers: || done(schema()),
        run: |ask| Box::pin(get(ask)),
    },
    Adapter {
        route: waiting(rpc::CREATE_TENANT, "POST", "/api/admin/tenants/provision"),
        name: "ProvisionTenant",
        about: "Records a tenant with the org `main` and an administrator, who logs in by the \
            address. The tenant's id is made of its name, with a number behind it where that is \
            taken. Answers once the database can be used; after 20 seconds it answers 202.",
        query: &[],
        body: Some(body),
        answers: || {
            let more = object(
                2,
                &[
                    ("orgId", text("The org.")),
                    ("adminUsername", text("Whom the administrator logs in as.")),
                    ("operation", message("Operation")),
                ],
            );
            let mut answers = provision::answers(message("Tenant"));
            for status in ["200", "202"] {
                answers[status]["content"]["application/json"]["schema"] =
                    json!({"allOf": [schema(), more]});
            }
            answers
        },
        run: |ask| Box::pin(provision_tenant(ask)),
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provision {
    name: String,
    #[serde(default, rename = "contactEmail", alias = "contact_email")]
    contact_email: String,
    #[serde(default, rename = "adminName", alias = "admin_name")]
    admin_name: String,
    #[serde(default, rename = "adminEmail", alias = "admin_email")]
    admin_email: String,
    #[serde(default, rename = "adminPassword", alias = "admin_password")]
    admin_password: String,
    #[serde(default)]
    plan: String,
}

fn body() -> Value {
    let mut password = text("The administrator's password.");
    password["format"] = "password".into();
    object(
        1,
        &[
            ("name", text("The name people read, with a letter or digit in it.")),
            ("contactEmail", text("Whom to write to.")),
            ("adminName", text("The administrator's name.")),
            ("adminEmail", text("The administrator's address, and the name to log in with.")),
            ("adminPassword", password),
            ("plan", text("`basic` (the default), `pro` or `enterprise`.")),
        ],
    )
}

fn schema() -> Value {
    let time = || json!({"type": "string", "format": "date-time"});
    object(
        4,
        &[
            ("id", text("The tenant's id.")),
            ("name", text("The name people read.")),
            ("status", text("`active`, `suspended`, `provisioning` or `failed`.")),
            ("plan", text("Its plan.")),
            ("contactEmail", text("Whom to write to.")),
            ("createdAt", time()),
            ("updatedAt", time()),
        ],
    )
}

/// A tenant in this shape.
fn short(tenant: &Value) -> Value {
    let status = tenant["status"].as_str().unwrap_or_default().to_ascii_lowercase();
    json!({"id": tenant["id"], "name": tenant["name"], "status": status, "plan": tenant["plan"],
        "createdAt": tenant["created_at"], "updatedAt": tenant["updated_at"]})
}

async fn list(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let target = format!("/api/v1/tenants?page_size=1000&page_token={token}");
        let page = ask.call(rpc::LIST_TENANTS, &Method::GET, target, None).await?;
        all.extend(page["tenants"].as_array().into_iter().flatten().map(short));
        match page["next_page_token"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return Ok(json_of(StatusCode::OK, &all.into())),
        }
    }
}

async fn get(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let tenant = format!("/api/v1/tenants/{}", ask.segment("tenant_id"));
    let found = ask.call(rpc::GET_TENANT, &Method::GET, tenant.clone(), None).await?;
    let mut shown = short(&found);
    let target = format!("{tenant}/policies/{CONTACT}");
    match ask.call(rpc::GET_POLICY, &Method::GET, target, None).await {
        Ok(contact) => shown["contactEmail"] = contact["policy"]["contactEmail"].clone(),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {}
        Err(problem) => return Err(problem),
    }
    Ok(json_of(StatusCode::OK, &shown))
}

async fn provision_tenant(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let new: Provision = ask.fields()?;
    check(&new).map_err(|error| ask.problem(error))?;
    let tenant = create(ask, &new).await?;
    let id = tenant["id"].as_str().unwrap_or_default();
    let operation = provision::org(ask, id, ORG, "", "").await?;
    if !new.contact_email.is_empty() || !new.admin_name.is_empty() {
        let contact = json!({"policy": {"contactEmail": new.contact_email,
            "adminName": new.admin_name, "adminEmail": new.admin_email}});
        let target = format!("/api/v1/tenants/{id}/policies/{CONTACT}");
        ask.call(rpc::UPDATE_POLICY, &Method::PUT, target, Some(&contact)).await?;
    }
    let more = json!({"orgId": ORG, "adminUsername": new.admin_email,
        "contactEmail": new.contact_email});
    provision::respond(short(&tenant), more, Some(operation))
}

/// Refuses what no RPC would, before anything is made.
fn check(new: &Provision) -> yuantus_domain::Result<()> {
    let plain = |text: &str, most: usize| {
        text.chars().count() <= most && !text.chars().any(char::is_control)
    };
    let contact = new.contact_email.as_str();
    let address = contact.is_empty() || contact.matches('@').count() == 1;
    if !address || !plain(contact, MAX_ADDRESS) {
        let rule = "must be an e-mail address of at most 320 characters";
        return Err(Error::invalid("contactEmail", rule));
    }
    if !plain(&new.admin_name, MAX_NAME) {
        let rule = "must have at most 200 characters and no control ones";
        return Err(Error::invalid("adminName", rule));
    }
    Ok(())
}

/// Records the tenant under the first id that is free.
async fn create(ask: &Ask<'_>, new: &Provision) -> Result<Value, Problem> {
    let slug = slug(&new.name).ok_or_else(|| {
        let rule = "must have a letter or digit of ASCII";
        ask.problem(Error::invalid("name", rule))
    })?;
    let mut number = 1;
    loop {
        let id = if number == 1 { slug.clone() } else { format!("{slug}-{number}") };
        let create = json!({"id": id, "name": new.name, "plan": new.plan,
            "admin_username": new.admin_email, "admin_password": new.admin_password,
            "admin_email": new.admin_email});
        let target = "/api/v1/tenants".to_owned();
        let made = ask.call(rpc::CREATE_TENANT, &Method::POST, target, Some(&create)).await;
        let problem = match made {
            Ok(tenant) => return Ok(tenant),
            Err(problem) => problem,
        };
        // Repeated with its key, a request finds the number that it got before.
        let taken = ["ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED"].contains(&problem.reason());
        let reserved = number == 1 && problem.is_about("id");
        if !(taken || reserved) || number >= SAME_NAME {
            let problem = problem.renamed("admin_username", "adminEmail");
            let problem = problem.renamed("admin_email", "adminEmail");
            return Err(problem.renamed("admin_password", "adminPassword").renamed("id", "name"));
        }
        number += 1;
    }
}

/// An id made of a name: its letters and digits, `-` for what is between them.
fn slug(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    let slug = slug[..slug.len().min(SLUG)].trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_checked() {
        let field = |body: Value| {
            let new: Provision = serde_json::from_value(body).unwrap();
            match check(&new) {
                Err(Error::InvalidArgument { field, .. }) => Some(field),
                Err(other) => panic!("{other}"),
                Ok(()) => None,
            }
        };
        for contact in ["a", "a@b@c", "a@\nb", &format!("{}@b", "a".repeat(320))] {
            let refused = field(json!({"name": "a", "contactEmail": contact}));
            assert_eq!(refused.as_deref(), Some("contactEmail"), "{contact}");
        }
        for name in ["a\tb", &"a".repeat(201)] {
            let refused = field(json!({"name": "a", "adminName": name}));
            assert_eq!(refused.as_deref(), Some("adminName"), "{name}");
        }
        assert_eq!(field(json!({"name": "a"})), None);
        let good = json!({"name": "a", "contactEmail": "a@b", "adminName": "ü".repeat(200)});
        assert_eq!(field(good), None);
    }

    #[test]
    fn names_become_ids() {
        for (name, id) in [
            ("New Company", Some("new-company")),
            ("  Müller & Söhne, Inc. ", Some("m-ller-s-hne-inc")),
            ("a__b", Some("a-b")),
            ("7", Some("7")),
            ("---", None),
            ("北京", None),
            ("", None),
        ] {
            assert_eq!(slug(name).as_deref(), id, "{name}");
        }
        let long = slug(&"ab ".repeat(40)).unwrap();
        assert!(long.len() <= SLUG && !long.ends_with('-'), "{long}");
    }
}
