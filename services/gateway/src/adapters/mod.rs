//! Routes whose answers differ in shape from those of the RPCs behind them.
//!
//! Invariant: an adapter has no rights and no rules of its own. It is reached
//! by whoever may call its RPC, and all it does are calls of RPCs, each
//! admitted as if the caller had made it.

mod ask;
mod camel;
mod camel_user;
mod file;
mod job;
mod org;
mod policy;
mod provision;
mod tenant;

use std::{future::Future, pin::Pin};

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use yuantus_proto::rest::Route;

use crate::{problem::Problem, upload};

pub use ask::{Ask, Asked};

/// What an adapter answers, in the end.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Body>, Problem>> + Send + 'a>>;

/// One method of one path.
pub struct Adapter {
    /// The route, and the RPC whose callers may use it.
    pub route: Route,
    /// Its name in the OpenAPI document.
    pub name: &'static str,
    /// What it does, for people.
    pub about: &'static str,
    /// What the query may hold: names, and what they mean.
    pub query: &'static [(&'static str, &'static str)],
    /// The schema of its body, where it takes one.
    pub body: Option<fn() -> Value>,
    /// What it answers, as the OpenAPI document has it.
    pub answers: fn() -> Value,
    /// Answers a request.
    pub run: for<'a> fn(&'a Ask<'a>) -> Answering<'a>,
}

/// All adapters, by what they are about.
const ALL: &[&[Adapter]] = &[
    camel::ADAPTERS,
    camel_user::ADAPTERS,
    file::ADAPTERS,
    job::ADAPTERS,
    org::ADAPTERS,
    policy::ADAPTERS,
    tenant::ADAPTERS,
];

/// The RPCs that adapters call.
mod rpc {
    macro_rules! rpcs {
        ($($name:ident $path:literal),* $(,)?) => {
            $(pub const $name: &str = concat!("/yuantus.controlplane.v1.", $path);)*
        };
    }
    rpcs! {
        ADD_MEMBER "MemberService/AddMember",
        APPLY_MIGRATIONS "MigrationService/ApplyMigrations",
        CREATE_BACKUP "BackupService/CreateBackup",
        CREATE_ORG "OrgService/CreateOrg",
        CREATE_TENANT "TenantService/CreateTenant",
        CREATE_USER "UserService/CreateUser",
        GET_DOWNLOAD_URL "FileService/GetDownloadUrl",
        GET_OPERATION "OperationService/GetOperation",
        GET_ORG "OrgService/GetOrg",
        GET_POLICY "PolicyService/GetPolicy",
        GET_TENANT "TenantService/GetTenant",
        LIST_OPERATIONS "OperationService/ListOperations",
        LIST_ORGS "OrgService/ListOrgs",
        LIST_TENANTS "TenantService/ListTenants",
        RESET_PASSWORD "UserService/ResetPassword",
        UPDATE_POLICY "PolicyService/UpdatePolicy",
        UPDATE_TENANT "TenantService/UpdateTenant",
        VERIFY_BACKUP "BackupService/VerifyBackup",
        WAIT_OPERATION "OperationService/WaitOperation",
    }
}

/// A route of an adapter that waits for nothing.
const fn route(rpc: &'static str, verb: &'static str, template: &'static str) -> Route {
    Route { rpc, verb, template, streams: false, waits: false }
}

/// A route of an adapter that waits for an operation.
const fn waiting(rpc: &'static str, verb: &'static str, template: &'static str) -> Route {
    Route { rpc, verb, template, streams: false, waits: true }
}

/// All adapters.
pub fn all() -> impl Iterator<Item = &'static Adapter> {
    ALL.iter().copied().flatten()
}

/// Their routes, and that of uploads.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    all().map(|adapter| &adapter.route).chain([&upload::ROUTE])
}

/// The adapter of a route, where it is one's.
pub fn of(route: &Route) -> Option<&'static Adapter> {
    all().find(|adapter| adapter.route == *route)
}

/// What an adapter that answers 200 says of it.
fn done(schema: Value) -> Value {
    json!({"200": {"description": "Done.",
        "content": {"application/json": {"schema": schema}}}})
}

/// A schema of the contract's.
fn message(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/yuantus.controlplane.v1.{name}")})
}

/// An object of these fields, of which the first `required` must be there.
fn object(required: usize, fields: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = fields.iter().take(required).map(|(name, _)| *name).collect();
    let fields = fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone()));
    json!({"type": "object", "required": names,
        "properties": fields.collect::<serde_json::Map<_, _>>()})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// A page as `{items, total, next_page_token}`.
fn items(name: &str) -> Value {
    object(
        2,
        &[
            ("items", json!({"type": "array", "items": message(name)})),
            ("total", json!({"type": "integer"})),
            ("next_page_token", text("Names the next page; empty on the last.")),
        ],
    )
}

/// A page of the contract's, whose list is `list`, in that shape.
fn as_items(mut page: Value, list: &str) -> Response<Body> {
    let answer = json!({"items": page[list].take(), "total": page["total"].take(),
        "next_page_token": page["next_page_token"].take()});
    json_of(StatusCode::OK, &answer)
}

/// The query of a list whose pages are an RPC's.
const PAGES: &[(&str, &str)] = &[
    ("page_size", "At most this many, 1 to 1000; 50 if 0, and 1000 where there is no query."),
    ("page_token", "`next_page_token` of the page before."),
];

/// The target of a list, as large a page as may be where nothing is asked for.
fn listing(path: &str, query: &str) -> String {
    format!("{path}?{}", if query.is_empty() { "page_size=1000" } else { query })
}

/// JSON with this status.
fn json_of(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
