//! Tenants as runbook 004 creates and lists them.

use axum::body::Body;
use http::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use yuantus_domain::OrgId;

use super::{
    Adapter, Ask, PAGES, as_items, done, items, listing, message, object, provision, route, rpc,
    text, waiting,
};
use crate::problem::Problem;

/// The org of a tenant that is created with one, and none named.
const DEFAULT_ORG: &str = "default";

/// The routes.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        route: route(rpc::LIST_TENANTS, "GET", "/api/v1/admin/tenants"),
        name: "ListAdminTenants",
        about: "Lists tenants in the order of their ids, and counts them.",
        query: PAGES,
        body: None,
        answers: || done(items("Tenant")),
        run: |ask| Box::pin(list(ask)),
    },
    Adapter {
        route: waiting(rpc::CREATE_TENANT, "POST", "/api/v1/admin/tenants"),
        name: "CreateAdminTenant",
        about: "Records a tenant with an org, and answers once the org's database can be used. \
            After 20 seconds it answers 202, and the operation that goes on.",
        query: &[],
        body: Some(body),
        answers: || provision::answers(message("Tenant")),
        run: |ask| Box::pin(create(ask)),
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTenant {
    #[serde(alias = "tenant_id", alias = "tenantId")]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    plan: String,
    #[serde(default, alias = "isActive")]
    is_active: Option<bool>,
    #[serde(default, alias = "createDefaultOrg")]
    create_default_org: Option<bool>,
    #[serde(default, alias = "org_id", alias = "orgId", alias = "defaultOrgId")]
    default_org_id: String,
    #[serde(default, alias = "adminUsername")]
    admin_username: String,
    #[serde(default, alias = "adminPassword")]
    admin_password: String,
    #[serde(default, alias = "adminEmail")]
    admin_email: String,
    #[serde(default, alias = "requestId")]
    request_id: String,
}

fn body() -> Value {
    let truth = |about: &str| json!({"type": "boolean", "description": about});
    let mut password = text("The first administrator's password.");
    password["format"] = "password".into();
    object(
        1,
        &[
            ("id", text("The new tenant's id; `tenant_id` is taken too.")),
            ("name", text("The name people read; the id if empty.")),
            ("plan", text("`basic` (the default), `pro` or `enterprise`.")),
            ("is_active", truth("Whether it is served at once; `true` if not given.")),
            ("create_default_org", truth("Whether it gets an org; `true` if not given.")),
            ("default_org_id", text("That org's id; `org_id` is taken too. `default` if empty.")),
            ("admin_username", text("Makes a first administrator, with this name.")),
            ("admin_password", password),
            ("admin_email", text("The first administrator's address.")),
            ("request_id", text("See CreateTenant.")),
        ],
    )
}

async fn list(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let mut target = listing("/api/v1/tenants", ask.query());
    if !target.contains("with_total") {
        target += "&with_total=true";
    }
    Ok(as_items(ask.call(rpc::LIST_TENANTS, &Method::GET, target, None).await?, "tenants"))
}

async fn create(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let new: NewTenant = ask.fields()?;
    let org = match (new.create_default_org, new.default_org_id.as_str()) {
        (Some(false), _) => None,
        (_, "") => Some(DEFAULT_ORG),
        (_, named) => Some(named),
    };
    // A tenant must not be left without the org that was asked for.
    if let Some(org) = org {
        OrgId::parse_new("default_org_id", org).map_err(|error| ask.problem(error))?;
    }
    let create = json!({"id": new.id, "name": new.name, "plan": new.plan,
        "admin_username": new.admin_username, "admin_password": new.admin_password,
        "admin_email": new.admin_email, "request_id": new.request_id});
    let target = "/api/v1/tenants".to_owned();
    let tenant = ask.call(rpc::CREATE_TENANT, &Method::POST, target, Some(&create)).await?;
    let operation = match org {
        Some(org) => Some(provision::org(ask, &new.id, org, "", &new.request_id).await?),
        None => None,
    };
    let tenant = match new.is_active {
        Some(false) => {
            let (target, off) =
                (format!("/api/v1/tenants/{}", new.id), json!({"is_active": false}));
            ask.call(rpc::UPDATE_TENANT, &Method::PATCH, target, Some(&off)).await?
        }
        _ => tenant,
    };
    let more = json!({"tenant_id": new.id, "org_id": org.unwrap_or_default()});
    provision::respond(tenant, more, operation)
}
