//! Policies as the user manual (000) names them: of the tenant in context, the
//! body being the policy itself.

use axum::body::Body;
use http::{Method, Response, StatusCode};
use serde_json::json;

use super::{Adapter, Ask, done, json_of, message, route, rpc};
use crate::problem::Problem;

const TEMPLATE: &str = "/api/v1/tenants/{area}/policy";

/// The routes.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        route: route(rpc::GET_POLICY, "GET", TEMPLATE),
        name: "GetTenantPolicy",
        about: "Reads the newest version of a policy of the tenant in context.",
        query: &[],
        body: None,
        answers: || done(message("Policy")),
        run: |ask| Box::pin(get(ask)),
    },
    Adapter {
        route: route(rpc::UPDATE_POLICY, "PUT", TEMPLATE),
        name: "PutTenantPolicy",
        about: "Records a new version of a policy of the tenant in context: the body.",
        query: &[],
        body: Some(|| json!({"type": "object", "description": "What the policy says."})),
        answers: || done(message("Policy")),
        run: |ask| Box::pin(put(ask)),
    },
];

fn target(ask: &Ask<'_>) -> Result<String, Problem> {
    Ok(format!("/api/v1/tenants/{}/policies/{}", ask.tenant()?, ask.segment("area")))
}

async fn get(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let query = ask.query();
    let target = match query {
        "" => target(ask)?,
        query => format!("{}?{query}", target(ask)?),
    };
    let policy = ask.call(rpc::GET_POLICY, &Method::GET, target, None).await?;
    Ok(json_of(StatusCode::OK, &policy))
}

async fn put(ask: &Ask<'_>) -> Result<Response<Body>, Problem> {
    let body = json!({"policy": ask.object()?});
    let policy = ask.call(rpc::UPDATE_POLICY, &Method::PUT, target(ask)?, Some(&body)).await?;
    Ok(json_of(StatusCode::OK, &policy))
}
