//! Recording an operation, in the transaction of the business rows it is for.

use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use yuantus_domain::{IdempotencyKey, Lane, OperationType, OrgKey};
use yuantus_identity::{
    Context, Part,
    entity::operation::{Entity, Model},
    query,
};

use crate::{Error, Result, notify::READY};

/// An operation to be recorded.
#[derive(Clone, Debug)]
pub struct NewOperation {
    /// What it does.
    pub kind: OperationType,
    /// Whose database it works on; also its lane.
    pub key: OrgKey,
    /// What its steps need to know.
    pub input: serde_json::Value,
    /// The resource it makes or works on, as the API names it.
    pub target: String,
    /// The client's key, if it gave one.
    pub idempotency: Option<IdempotencyKey>,
    /// Whose keys are compared: keys of different scopes never meet.
    pub scope: String,
    /// What the client asked for; another request under the same key is refused.
    pub request: serde_json::Value,
    /// Who asked.
    pub actor: String,
    /// In which request.
    pub request_id: String,
    /// How many attempts each step gets.
    pub max_attempts: i32,
    /// How many unfinished operations the lane may hold; `None` where the org,
    /// and with it the lane, is made in this transaction.
    pub lane_depth: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Enqueued {
    /// It is recorded and will run once the transaction has committed.
    New(Model),
    /// The same request was made before: this is its operation.
    Before(Model),
}

const INSERT: &str =
    "INSERT INTO operations (id, type, tenant_id, org_id, lane, input, target, scope,
    idempotency_key, request_hash, actor, request_id, steps, max_attempts)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14";

/// What every INSERT ends with.
const TOLD: &str =
    "ON CONFLICT (scope, idempotency_key) DO NOTHING RETURNING *, pg_notify($15, '')";

/// SHA-256 over what a client asked for.
pub fn request_hash(request: &serde_json::Value) -> Vec<u8> {
    Sha256::digest(request.to_string()).to_vec()
}

/// The operation that a request with this key made before, if it did.
pub async fn find_by_key(
    db: &impl ConnectionTrait,
    scope: &str,
    key: &IdempotencyKey,
    request: &serde_json::Value,
) -> Result<Option<Model>> {
    let sql = "SELECT id FROM operations WHERE scope = $1 AND idempotency_key = $2";
    let values = [scope.into(), key.as_str().into()];
    let row = db
        .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("find operation by key")?;
    let Some(row) = row else { return Ok(None) };
    let id: Uuid = row.try_get("", "id").during("find operation by key")?;
    let Some(found) = query::operation::find(db, id).await? else { return Ok(None) };
    if found.request_hash != request_hash(request) {
        return Err(Error::KeyReused { key: key.as_str().into() });
    }
    Ok(Some(found))
}

/// Records `new`; with the commit, workers are told. The caller's transaction holds the org's row locked, or has
/// just inserted it, so that the lane's depth is exact.
pub async fn enqueue(txn: &impl ConnectionTrait, new: NewOperation) -> Result<Enqueued> {
    let lane = Lane::database(&new.key);
    let inserted = insert(txn, &format!("{INSERT} {TOLD}"), values(&new)).await?;
    if inserted.is_none()
        && let Some(before) = before(txn, &new).await?
    {
        return Ok(Enqueued::Before(before));
    }
    if let Some(depth) = new.lane_depth {
        refuse_full_lane(txn, &lane, depth).await?;
    }
    inserted.map(Enqueued::New).ok_or_else(|| {
        let value = new.target.clone();
        yuantus_identity::Error::Unknown { column: "operations.target", value }.into()
    })
}

/// Records `new` and all that belongs to it in one statement, if the query
/// `given` has a row: `None` if it has not. The parts `also` follow
/// `WITH cause AS (…)` and write nothing where that has no row. The lane is
/// a new one.
pub async fn enqueue_given(
    db: &impl ConnectionTrait,
    new: NewOperation,
    given: Part,
    also: impl IntoIterator<Item = Part>,
) -> Result<Option<Enqueued>> {
    let mut values = values(&new);
    let given = given.onto(&mut values);
    let mut sql = format!("WITH cause AS ({INSERT} WHERE EXISTS ({given}) {TOLD})");
    for part in also {
        sql += &part.onto(&mut values);
    }
    sql += " SELECT * FROM cause";
    Ok(match insert(db, &sql, values).await? {
        Some(operation) => Some(Enqueued::New(operation)),
        None => before(db, &new).await?.map(Enqueued::Before),
    })
}

async fn insert(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Result<Option<Model>> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let inserted = Entity::find().from_raw_sql(statement).one(db).await;
    Ok(inserted.during("insert operation")?)
}

async fn before(db: &impl ConnectionTrait, new: &NewOperation) -> Result<Option<Model>> {
    match &new.idempotency {
        Some(key) => find_by_key(db, &new.scope, key, &new.request).await,
        None => Ok(None),
    }
}

/// The values of [`INSERT`] and [`TOLD`].
fn values(new: &NewOperation) -> Vec<Value> {
    let lane = Lane::database(&new.key);
    vec![
        Uuid::now_v7().into(),
        new.kind.as_str().into(),
        new.key.tenant.as_str().into(),
        new.key.org.as_str().into(),
        lane.as_str().into(),
        new.input.clone().into(),
        new.target.as_str().into(),
        new.scope.as_str().into(),
        new.idempotency.as_ref().map(IdempotencyKey::as_str).into(),
        request_hash(&new.request).into(),
        new.actor.as_str().into(),
        new.request_id.as_str().into(),
        serde_json::json!(new.kind.steps()).into(),
        new.max_attempts.into(),
        READY.into(),
    ]
}

async fn refuse_full_lane(txn: &impl ConnectionTrait, lane: &Lane, depth: u64) -> Result<()> {
    let sql = "SELECT count(*) AS held FROM operations
        WHERE lane = $1 AND state IN ('PENDING', 'RUNNING')";
    let values = [lane.as_str().into()];
    let row = txn
        .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("count lane")?;
    let held: i64 = match row {
        Some(row) => row.try_get("", "held").during("count lane")?,
        None => 0,
    };
    if held.unsigned_abs() > depth {
        return Err(Error::LaneFull { lane: lane.as_str().into(), depth });
    }
    Ok(())
}
