//! Users as the CRM's runbooks (003) create them.

use axum::body::Body;
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use yuantus_domain::{Error, OrgRole};

use super::{Adapter, Ask, done, json_of, object, route, rpc, text};
use crate::problem::Problem;

/// The roles that administer the tenant; any other is one within an org.
const ADMINS: [&str; 3] = ["admin", "tenant_admin", "owner"];

/// The routes.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        route: route(rpc::CREATE_USER, "POST", "/api/tenants/users"),
        name: "CreateTenantUser",
        about: "Records a user of the tenant in context, who logs in by the address. `admin`, \
            `tenant_admin` and `owner` administer the tenant; with any other role the user \
            becomes a member of the org in context, or of the tenant's only one.",
        query: &[],
        body: Some(body),
        answers: || done(schema()),
        run: |ask| Box::pin(create(ask)),
    },
    Adapter {
        route: route(rpc::RESET_PASSWORD, "POST", "/api/tenants/users/{user_id}/reset-password"),
        name: "ResetTenantUserPassword",
        about: "Gives a user of the tenant in context another password.",
        query: &[],
        body: Some(|| {
            let mut password = text("The new password.");
            password["format"] = "password".into();
            object(1, &[("newPassword", password)])
        }),
        answers: || done(schema()),
        run: |ask| Box::pin(reset(ask)),
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    #[serde(default)]
    name: String,
    email: String,
    password: String,
    #[serde(default)]
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[serde(rename = "newPassword", alias = "new_password")]
    new_password: String,
}

fn body() -> Value {
    let mut password = text("The password, as the deployment's policy asks for.");
    password["format"] = "password".into();
    object(
        2,
        &[
            ("email", text("The user's address, and the name to log in with.")),
            ("password", password),
            ("name", text("The name people read.")),
            ("role", text("What the user is; `member` if empty.")),
        ],
    )
}

fn schema() -> Value {
    object(
        4,
        &[
            ("id", json!({"type": "integer"})),
            ("email", text("The user's address.")),
            ("username", text("The name to log in with.")),
            ("tenantId", text("The user's tenant.")),
            ("name", text("The name people read.")),
            ("role", text("What the user is.")),
            ("orgId", text("The org whose member the user is; empty for administrators.")),
            ("isActive", json!({"type": "boolean"})),
        ],
    )
}

/// A user in this shape.
fn short(user: &Value) -> Value {
    json!({"id": user["id"], "email": user["email"], "username": user["username"],
        "name": user["name"], "tenantId": user["tenant_id"], "isActive": user["is_active"]})
}

async fn create(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let new: NewUser = ask.fields()?;
    let role = if new.role.is_empty() { "member" } else { new.role.as_str() };
    let admin = ADMINS.contains(&role);
    // Found first: a user must not be left without the role that was asked for.
    let org = match admin {
        true => String::new(),
        false => {
            OrgRole::parse("role", role).map_err(|error| ask.problem(error))?;
            org(ask).await?
        }
    };
    let tenant = ask.tenant()?;
    let user = json!({"username": new.email, "email": new.email, "password": new.password,
        "name": new.name, "is_superuser": admin});
    let target = format!("/api/v1/tenants/{tenant}/users");
    let user = ask.call(rpc::CREATE_USER, &Method::POST, target, Some(&user)).await;
    let user = user.map_err(|problem| problem.renamed("username", "email"))?;
    if !admin {
        let member = json!({"user_id": user["id"], "roles": [role]});
        let target = format!("/api/v1/tenants/{tenant}/orgs/{org}/members");
        ask.call(rpc::ADD_MEMBER, &Method::POST, target, Some(&member)).await?;
    }
    let mut shown = short(&user);
    shown["role"] = role.into();
    shown["orgId"] = org.into();
    Ok(json_of(StatusCode::OK, &shown))
}

/// The org in context, which must be there, or the tenant's only one.
async fn org(ask: &Ask<'_>) -> Result<String, Problem> {
    let tenant = ask.tenant()?;
    if let Some(org) = &ask.asked.caller.org {
        let target = format!("/api/v1/tenants/{tenant}/orgs/{org}");
        ask.call(rpc::GET_ORG, &Method::GET, target, None).await?;
        return Ok(org.to_string());
    }
    let target = format!("/api/v1/tenants/{tenant}/orgs?page_size=2");
    let page = ask.call(rpc::LIST_ORGS, &Method::GET, target, None).await?;
    match page["orgs"].as_array().map(Vec::as_slice) {
        Some([only]) => Ok(only["id"].as_str().unwrap_or_default().to_owned()),
        _ => Err(ask.problem(Error::MissingContext { field: "org_id" })),
    }
}

async fn reset(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let new: NewPassword = ask.fields()?;
    let (tenant, user) = (ask.tenant()?, ask.segment("user_id"));
    let target = format!("/api/v1/tenants/{tenant}/users/{user}:resetPassword");
    let body = json!({"password": new.new_password});
    let user = ask.call(rpc::RESET_PASSWORD, &Method::POST, target, Some(&body)).await;
    let user = user.map_err(|problem| problem.renamed("password", "newPassword"))?;
    Ok(json_of(StatusCode::OK, &short(&user)))
}
