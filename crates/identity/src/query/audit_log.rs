//! The audit trail. Rows are written in the transaction of the change they
//! tell of; nothing here changes or deletes one.
//!
//! Invariant: a writer holds the end of its tenant's chain until it commits.
//! So a transaction appends last, and for one tenant only.

use std::time::Duration;

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
    prelude::DateTimeUtc,
    sea_query::{Alias, Asterisk, Condition, Expr, Func, Query},
};
use yuantus_domain::{OrgId, TenantId};

use crate::{
    Context, Database, Part, Result,
    entity::audit_log::{ActiveModel, Column, Entity, Model},
};

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The tenant it concerns, or `platform`.
    pub tenant: String,
    /// The org it concerns, or empty.
    pub org: String,
    /// Who did it: a user's name with its tenant, or a worker.
    pub actor: String,
    /// The user's id.
    pub user_id: Option<i32>,
    /// What was done, such as `org.create`.
    pub action: &'static str,
    /// What it was done to, such as `tenants/acme/orgs/hq`.
    pub target: String,
    /// The request it was done in.
    pub request_id: String,
    /// Where the request came from.
    pub client_ip: String,
    /// What sent it.
    pub user_agent: String,
    /// Facts of the action; never a secret.
    pub details: serde_json::Value,
    /// The request itself, where the row is about one.
    pub request: Option<Request>,
}

/// A request and its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The HTTP status, or what the gRPC status is in HTTP.
    pub status_code: u16,
    /// How long it took.
    pub duration: Duration,
    /// What was wrong with it; empty where nothing was.
    pub error: String,
}

/// An entry that is written later than it happened.
#[derive(Clone, Debug)]
pub struct Late {
    /// What happened.
    pub entry: Entry,
    /// How long ago.
    pub ago: Duration,
}

/// Which entries to read.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only this org's.
    pub org: Option<OrgId>,
    /// Only this action's, or those of which it is the noun or the verb:
    /// `create` finds `org.create`, `login` finds `login.fail`.
    pub action: Option<String>,
    /// Only actions on this kind of thing: `org` finds `org.create`.
    pub resource_type: Option<String>,
    /// Only those to targets that begin so.
    pub target: Option<String>,
    /// Only this user's.
    pub user_id: Option<i32>,
    /// Only requests of this method.
    pub method: Option<String>,
    /// Only requests of exactly this path.
    pub path: Option<String>,
    /// Only requests that were answered so.
    pub status_code: Option<i32>,
    /// Only from this time on.
    pub since: Option<DateTimeUtc>,
    /// Only before this time.
    pub until: Option<DateTimeUtc>,
}

/// Where a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When the last entry was made.
    pub at: DateTimeUtc,
    /// Its id.
    pub id: i64,
}

impl Place {
    /// The place of an entry.
    pub fn of(entry: &Model) -> Self {
        Self { at: entry.created_at, id: entry.id }
    }
}

const APPENDED: &str = ",
audit AS (
    INSERT INTO audit_logs (tenant_id, org_id, actor, user_id, action, target, request_id,
        client_ip, user_agent, details)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM cause
)";

/// Writes one entry.
pub async fn append(db: &impl ConnectionTrait, entry: Entry) -> Result<()> {
    let details = object(entry.details);
    let mut row = ActiveModel {
        tenant_id: Set(entry.tenant),
        org_id: Set(entry.org),
        actor: Set(entry.actor),
        user_id: Set(entry.user_id),
        action: Set(entry.action.into()),
        target: Set(entry.target),
        request_id: Set(entry.request_id),
        client_ip: Set(entry.client_ip),
        user_agent: Set(entry.user_agent),
        details: Set(details),
        ..Default::default()
    };
    if let Some(request) = entry.request {
        row.method = Set(request.method);
        row.path = Set(request.path);
        row.status_code = Set(Some(request.status_code.into()));
        row.duration_ms = Set(Some(milliseconds(request.duration)));
        row.error = Set(request.error);
    }
    row.insert(db).await.during("append audit log").map(drop)
}

/// With the `cause`, one entry that is about no request is written.
pub fn appended(entry: Entry) -> Part {
    let values = vec![
        entry.tenant.into(),
        entry.org.into(),
        entry.actor.into(),
        entry.user_id.into(),
        entry.action.into(),
        entry.target.into(),
        entry.request_id.into(),
        entry.client_ip.into(),
        entry.user_agent.into(),
        object(entry.details).into(),
    ];
    Part { sql: APPENDED, values }
}

fn object(details: serde_json::Value) -> serde_json::Value {
    match details {
        serde_json::Value::Null => serde_json::json!({}),
        details => details,
    }
}

/// What PostgreSQL takes of a text: one that it refused would take the entries
/// along that are written with it.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn storable_json(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(storable(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(storable_json).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            Value::Object(fields.map(|(k, v)| (storable(&k), storable_json(v))).collect())
        }
        plain => plain,
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Writes entries of one tenant in one statement, in their order.
pub async fn append_late(db: &Database, entries: Vec<Late>) -> Result<()> {
    let sql = "INSERT INTO audit_logs (tenant_id, org_id, actor, user_id, action, target,
            request_id, client_ip, user_agent, details, method, path, status_code, duration_ms,
            error, created_at)
        SELECT tenant_id, org_id, actor, user_id, action, target, request_id, client_ip,
            user_agent, details, method, path, status_code, duration_ms, error,
            now() - make_interval(secs => ago)
        FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[],
            $7::text[], $8::text[], $9::text[], $10::jsonb[], $11::text[], $12::text[],
            $13::int[], $14::bigint[], $15::text[], $16::float8[])
            WITH ORDINALITY AS entry (tenant_id, org_id, actor, user_id, action, target,
            request_id, client_ip, user_agent, details, method, path, status_code, duration_ms,
            error, ago, place)
        ORDER BY place";
    let ago: Vec<f64> = entries.iter().map(|late| late.ago.as_secs_f64()).collect();
    let entries: Vec<Entry> = entries.into_iter().map(|late| late.entry).collect();
    let texts = |of: fn(&Entry) -> &str| -> Vec<String> {
        entries.iter().map(|entry| storable(of(entry))).collect()
    };
    let of_requests = |of: fn(&Request) -> &str| -> Vec<String> {
        let text = |entry: &Entry| storable(entry.request.as_ref().map(of).unwrap_or_default());
        entries.iter().map(text).collect()
    };
    let requests = || entries.iter().map(|entry| entry.request.as_ref());
    let statuses: Vec<Option<i32>> = requests().map(|r| r.map(|r| r.status_code.into())).collect();
    let durations: Vec<Option<i64>> =
        requests().map(|r| r.map(|r| milliseconds(r.duration))).collect();
    let users: Vec<Option<i32>> = entries.iter().map(|entry| entry.user_id).collect();
    let details: Vec<serde_json::Value> =
        entries.iter().map(|entry| storable_json(object(entry.details.clone()))).collect();
    sqlx::query(sql)
        .bind(texts(|entry| &entry.tenant))
        .bind(texts(|entry| &entry.org))
        .bind(texts(|entry| &entry.actor))
        .bind(users)
        .bind(texts(|entry| entry.action))
        .bind(texts(|entry| &entry.target))
        .bind(texts(|entry| &entry.request_id))
        .bind(texts(|entry| &entry.client_ip))
        .bind(texts(|entry| &entry.user_agent))
        .bind(details)
        .bind(of_requests(|request| &request.method))
        .bind(of_requests(|request| &request.path))
        .bind(statuses)
        .bind(durations)
        .bind(of_requests(|request| &request.error))
        .bind(ago)
        .execute(db.get_postgres_connection_pool())
        .await
        .during("append audit logs")
        .map(drop)
}

/// At most `limit` entries before `before`, newest first, but for the first
/// `skip` of them.
pub async fn page(
    db: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<Place>,
    skip: usize,
    limit: usize,
) -> Result<Vec<Model>> {
    let mut query = filtered(filter)
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .offset(skip as u64)
        .limit(limit as u64);
    if let Some(place) = before {
        query = query.filter(compared(place, "<"));
    }
    query.all(db).await.during("list audit logs")
}

/// At most `limit` entries behind `after`, oldest first.
pub async fn oldest(
    db: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<Place>,
    limit: usize,
) -> Result<Vec<Model>> {
    let mut query = filtered(filter)
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(limit as u64);
    if let Some(place) = after {
        query = query.filter(compared(place, ">"));
    }
    query.all(db).await.during("export audit logs")
}

/// How many entries there are; counting stops at `most`.
pub async fn count(db: &impl ConnectionTrait, filter: &Filter, most: u64) -> Result<i64> {
    let counted = filtered(filter).select_only().column(Column::Id).limit(most).into_query();
    let statement = Query::select()
        .expr_as(Func::count(Expr::col(Asterisk)), Alias::new("total"))
        .from_subquery(counted, Alias::new("counted"))
        .take();
    let row = db.query_one(&statement).await.during("count audit logs")?;
    row.map_or(Ok(0), |row| row.try_get("", "total")).during("count audit logs")
}

fn compared(place: Place, operator: &'static str) -> Expr {
    let sql = match operator {
        "<" => "(created_at, id) < ($1, $2)",
        _ => "(created_at, id) > ($1, $2)",
    };
    Expr::cust_with_values(sql, [sea_orm::Value::from(place.at), place.id.into()])
}

fn filtered(filter: &Filter) -> Select<Entity> {
    let text = |column: Column, wanted: &Option<String>| {
        wanted.as_ref().map(|wanted| column.eq(wanted.as_str()))
    };
    let conditions = [
        filter.tenant.as_ref().map(|tenant| Column::TenantId.eq(tenant.as_str())),
        filter.org.as_ref().map(|org| Column::OrgId.eq(org.as_str())),
        text(Column::Method, &filter.method),
        text(Column::Path, &filter.path),
        filter.status_code.map(|status| Column::StatusCode.eq(status)),
        filter.user_id.map(|id| Column::UserId.eq(id)),
        filter.since.map(|since| Column::CreatedAt.gte(since)),
        filter.until.map(|until| Column::CreatedAt.lt(until)),
        filter.target.as_ref().map(|target| Column::Target.starts_with(literal(target))),
        filter
            .resource_type
            .as_ref()
            .map(|noun| Column::Action.starts_with(format!("{}.", literal(noun)))),
    ];
    let mut query = Entity::find();
    for condition in conditions.into_iter().flatten() {
        query = query.filter(condition);
    }
    match &filter.action {
        Some(action) => query.filter(
            Condition::any()
                .add(Column::Action.eq(action.as_str()))
                .add(Column::Action.starts_with(format!("{}.", literal(action))))
                .add(Column::Action.ends_with(format!(".{}", literal(action)))),
        ),
        None => query,
    }
}

/// Text that a pattern matches as it is.
fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}
