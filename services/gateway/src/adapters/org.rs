//! Orgs as runbook 004 creates and lists them.

use axum::body::Body;
use http::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Adapter, Answering, Ask, PAGES, as_items, done, items, listing, message, object, provision,
    route, rpc, text, waiting,
};
use crate::problem::Problem;

const OF_TENANT: &str = "/api/v1/admin/tenants/{tenant_id}/orgs";
const OF_CONTEXT: &str = "/api/v1/admin/orgs";
const LISTS: &str = "Lists a tenant's orgs in the order of their ids, and counts them.";
const CREATES: &str = "Records an org, and answers once its database can be used. After 20 \
    seconds it answers 202, and the operation that goes on.";

/// The routes.
pub const ADAPTERS: &[Adapter] = &[
    lists("ListAdminTenantOrgs", OF_TENANT, |ask| Box::pin(list(ask))),
    lists("ListAdminOrgs", OF_CONTEXT, |ask| Box::pin(list(ask))),
    creates("CreateAdminTenantOrg", OF_TENANT, |ask| Box::pin(create(ask))),
    creates("CreateAdminOrg", OF_CONTEXT, |ask| Box::pin(create(ask))),
];

type Run = for<'a> fn(&'a Ask<'a>) -> Answering<'a>;

const fn lists(name: &'static str, template: &'static str, run: Run) -> Adapter {
    let route = route(rpc::LIST_ORGS, "GET", template);
    let answers = || done(items("Org"));
    Adapter { route, name, about: LISTS, query: PAGES, body: None, answers, run }
}

const fn creates(name: &'static str, template: &'static str, run: Run) -> Adapter {
    let route = waiting(rpc::CREATE_ORG, "POST", template);
    let answers = || provision::answers(message("Org"));
    Adapter { route, name, about: CREATES, query: &[], body: Some(body), answers, run }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrg {
    #[serde(alias = "org_id", alias = "orgId")]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default, alias = "requestId")]
    request_id: String,
}

fn body() -> Value {
    object(
        1,
        &[
            ("id", text("The new org's id.")),
            ("name", text("The name people read; the id if empty.")),
            ("request_id", text("See CreateOrg.")),
        ],
    )
}

/// The tenant of the path, or the one in context.
fn tenant<'a>(ask: &'a Ask<'_>) -> Result<&'a str, Problem> {
    match ask.segment("tenant_id") {
        "" => Ok(ask.tenant()?.as_str()),
        named => Ok(named),
    }
}

async fn list(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let target = listing(&format!("/api/v1/tenants/{}/orgs", tenant(ask)?), ask.query());
    Ok(as_items(ask.call(rpc::LIST_ORGS, &Method::GET, target, None).await?, "orgs"))
}

async fn create(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let (tenant, new): (_, NewOrg) = (tenant(ask)?, ask.fields()?);
    let operation = provision::org(ask, tenant, &new.id, &new.name, &new.request_id).await?;
    let target = format!("/api/v1/tenants/{tenant}/orgs/{}", new.id);
    let org = ask.call(rpc::GET_ORG, &Method::GET, target, None).await?;
    provision::respond(org, json!({}), Some(operation))
}
