//! The audit trail as chains: what the hashes are made of, where each tenant's
//! chain ends, and what was signed about it.

use sea_orm::{
    ConnectionTrait, DbBackend, FromQueryResult, Statement, Value, prelude::DateTimeUtc,
};

use crate::{Context, Result, query::clock::VETTED};

/// One row of a chain, as its hash is made from it.
#[derive(Clone, Debug, FromQueryResult)]
#[expect(missing_docs, reason = "columns are documented in the migration")]
pub struct Link {
    pub id: i64,
    pub tenant_id: String,
    pub org_id: String,
    pub actor: String,
    pub user_id: Option<i32>,
    pub action: String,
    pub target: String,
    pub request_id: String,
    pub client_ip: String,
    pub user_agent: String,
    pub method: String,
    pub path: String,
    pub status_code: Option<i32>,
    pub duration_ms: Option<i64>,
    pub error: String,
    /// As the server writes it.
    pub details: String,
    pub created_at: DateTimeUtc,
    /// The time as the server sends it in binary.
    pub created_at_bytes: Vec<u8>,
    pub seq: i64,
    pub previous_hash: Vec<u8>,
    pub hash: Vec<u8>,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Head {
    /// The number of the last row.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// A signed statement about a chain; see the migration.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
#[expect(missing_docs, reason = "columns are documented in the migration")]
pub struct Checkpoint {
    /// Made by the server; 0 before.
    pub id: i64,
    pub tenant_id: String,
    pub kind: String,
    pub seq: i64,
    pub hash: Vec<u8>,
    pub first_seq: i64,
    pub rows: i64,
    pub first_at: DateTimeUtc,
    pub last_at: DateTimeUtc,
    pub key_id: String,
    pub signature: Vec<u8>,
    /// None of those that were made before checkpoints had numbers.
    pub number: Option<i64>,
    pub previous: Option<Vec<u8>>,
}

const CHECKPOINT: &str =
    "id, tenant_id, kind, seq, hash, first_seq, rows, first_at, last_at, key_id,
    signature, number, previous FROM audit_checkpoints";

/// Every tenant that has a part of the trail, or has to have one.
pub async fn tenants(db: &impl ConnectionTrait) -> Result<Vec<String>> {
    // The first and then the next bigger: one look into the index per tenant.
    let sql = "WITH RECURSIVE found (tenant_id) AS (
            (SELECT tenant_id FROM audit_logs ORDER BY tenant_id LIMIT 1)
            UNION ALL
            SELECT (SELECT l.tenant_id FROM audit_logs l WHERE l.tenant_id > f.tenant_id
                    ORDER BY l.tenant_id LIMIT 1)
            FROM found f WHERE f.tenant_id IS NOT NULL
        )
        SELECT tenant_id FROM found WHERE tenant_id IS NOT NULL
        UNION SELECT tenant_id FROM audit_heads
        UNION SELECT tenant_id FROM audit_checkpoints
        UNION SELECT id FROM tenants
        ORDER BY 1";
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    let rows = rows.during("list tenants of audit trail")?;
    let ids: std::result::Result<Vec<String>, _> =
        rows.iter().map(|row| row.try_get("", "tenant_id")).collect();
    ids.during("list tenants of audit trail")
}

/// Which of `ids` are tenants on record.
pub async fn known(db: &impl ConnectionTrait, ids: Vec<String>) -> Result<Vec<String>> {
    let sql = "SELECT id FROM tenants WHERE id = ANY($1)";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [ids.into()]);
    let rows = db.query_all_raw(statement).await.during("find tenants")?;
    let ids: std::result::Result<Vec<String>, _> =
        rows.iter().map(|row| row.try_get("", "id")).collect();
    ids.during("find tenants")
}

/// At most `limit` rows of a tenant's chain behind (`seq`, `id`), in order.
pub async fn links(
    db: &impl ConnectionTrait,
    tenant: &str,
    (seq, id): (i64, i64),
    limit: i64,
) -> Result<Vec<Link>> {
    let sql = "SELECT id, tenant_id, org_id, actor, user_id, action, target, request_id,
            client_ip, user_agent, method, path, status_code, duration_ms, error,
            details::text AS details, created_at, timestamptz_send(created_at) AS created_at_bytes,
            seq, previous_hash, hash
        FROM audit_logs WHERE tenant_id = $1 AND (seq, id) > ($2, $3)
        ORDER BY seq, id LIMIT $4";
    let values: [Value; 4] = [tenant.into(), seq.into(), id.into(), limit.into()];
    Link::find_by_statement(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .all(db)
        .await
        .during("read audit chain")
}

/// Where a tenant's chain ends.
pub async fn head(db: &impl ConnectionTrait, tenant: &str) -> Result<Option<Head>> {
    let sql = "SELECT seq, hash FROM audit_heads WHERE tenant_id = $1";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [tenant.into()]);
    Head::find_by_statement(statement).one(db).await.during("read head of audit chain")
}

/// The checkpoints of a tenant that have no number, in the order of their making.
pub async fn unnumbered_checkpoints(
    db: &impl ConnectionTrait,
    tenant: &str,
) -> Result<Vec<Checkpoint>> {
    let sql = format!("SELECT {CHECKPOINT} WHERE tenant_id = $1 AND number IS NULL ORDER BY id");
    find_checkpoints(db, sql, [tenant.into()]).await
}

/// At most `limit` numbered checkpoints of a tenant behind (`number`, `id`), in
/// order.
pub async fn checkpoints(
    db: &impl ConnectionTrait,
    tenant: &str,
    (number, id): (i64, i64),
    limit: i64,
) -> Result<Vec<Checkpoint>> {
    let sql = format!(
        "SELECT {CHECKPOINT} WHERE tenant_id = $1 AND (number, id) > ($2, $3)
         ORDER BY number, id LIMIT $4"
    );
    find_checkpoints(db, sql, [tenant.into(), number.into(), id.into(), limit.into()]).await
}

/// The checkpoint of a tenant that has this number.
pub async fn numbered_checkpoint(
    db: &impl ConnectionTrait,
    tenant: &str,
    number: i64,
) -> Result<Option<Checkpoint>> {
    let sql = format!("SELECT {CHECKPOINT} WHERE tenant_id = $1 AND number = $2");
    let found = find_checkpoints(db, sql, [tenant.into(), number.into()]).await?;
    Ok(found.into_iter().next())
}

/// The newest checkpoint of a tenant, of one kind or of any.
pub async fn newest_checkpoint(
    db: &impl ConnectionTrait,
    tenant: &str,
    kind: Option<&str>,
) -> Result<Option<Checkpoint>> {
    let sql = format!(
        "SELECT {CHECKPOINT} WHERE tenant_id = $1 AND kind = coalesce($2, kind)
         ORDER BY number DESC NULLS LAST, seq DESC, id DESC LIMIT 1"
    );
    let found = find_checkpoints(db, sql, [tenant.into(), kind.into()]).await?;
    Ok(found.into_iter().next())
}

/// The tenants, but for some, whose newest checkpoint is signed with another key
/// than `key_id`.
pub async fn signed_otherwise(
    db: &impl ConnectionTrait,
    key_id: &str,
    but: &[String],
) -> Result<Vec<String>> {
    let sql = "SELECT h.tenant_id FROM audit_heads h, LATERAL (
            SELECT key_id FROM audit_checkpoints c WHERE c.tenant_id = h.tenant_id
            ORDER BY number DESC NULLS LAST, seq DESC, id DESC LIMIT 1
        ) AS newest WHERE newest.key_id <> $1 AND h.tenant_id <> ALL($2)";
    let values: [Value; 2] = [key_id.into(), but.to_vec().into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let rows = db.query_all_raw(statement).await.during("find keys of audit checkpoints")?;
    let ids: std::result::Result<Vec<String>, _> =
        rows.iter().map(|row| row.try_get("", "tenant_id")).collect();
    ids.during("find keys of audit checkpoints")
}

/// The checkpoint that was made last, of any tenant.
pub async fn last_checkpoint(db: &impl ConnectionTrait) -> Result<Option<Checkpoint>> {
    let sql = format!("SELECT {CHECKPOINT} ORDER BY id DESC LIMIT 1");
    Ok(find_checkpoints(db, sql, []).await?.into_iter().next())
}

async fn find_checkpoints<const N: usize>(
    db: &impl ConnectionTrait,
    sql: String,
    values: [Value; N],
) -> Result<Vec<Checkpoint>> {
    Checkpoint::find_by_statement(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .all(db)
        .await
        .during("read audit checkpoints")
}

/// Keeps a checkpoint.
pub async fn insert_checkpoint(db: &impl ConnectionTrait, new: &Checkpoint) -> Result<()> {
    let sql = "INSERT INTO audit_checkpoints (tenant_id, kind, seq, hash, first_seq, rows,
            first_at, last_at, key_id, signature, number, previous)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let values: [Value; 12] = [
        new.tenant_id.as_str().into(),
        new.kind.as_str().into(),
        new.seq.into(),
        new.hash.clone().into(),
        new.first_seq.into(),
        new.rows.into(),
        new.first_at.into(),
        new.last_at.into(),
        new.key_id.as_str().into(),
        new.signature.clone().into(),
        new.number.into(),
        new.previous.clone().into(),
    ];
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("insert audit checkpoint")
        .map(drop)
}

/// Whether a tenant's first row is older than `aged` seconds; and whether, if
/// so, any tenant's trail was signed since the row was that old and at least as
/// long ago. Whoever signed then would have signed this one too.
pub async fn age(db: &impl ConnectionTrait, tenant: &str, aged: i64) -> Result<Age> {
    let sql = "SELECT created_at < now() - age AS aged, EXISTS (
            SELECT FROM audit_checkpoints c
            WHERE c.created_at BETWEEN first.created_at + age AND now() - age
        ) AS passed_over
        FROM make_interval(secs => $2) AS age,
            (SELECT created_at FROM audit_logs WHERE tenant_id = $1 ORDER BY seq LIMIT 1) AS first";
    #[expect(clippy::cast_precision_loss, reason = "seconds that a person configures")]
    let values: [Value; 2] = [tenant.into(), (aged as f64).into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let age = Age::find_by_statement(statement).one(db).await.during("read age of audit chain")?;
    Ok(age.unwrap_or_default())
}

/// How old a chain is.
#[derive(Clone, Copy, Debug, Default, FromQueryResult)]
pub struct Age {
    /// Its first row is that old.
    pub aged: bool,
    /// Other trails were signed since.
    pub passed_over: bool,
}

/// Deletes a tenant's rows up to `seq`; answers how many there were. The
/// server refuses without a checkpoint of this transaction at `seq`.
pub async fn prune(db: &impl ConnectionTrait, tenant: &str, seq: i64) -> Result<i64> {
    let values: [Value; 2] = [tenant.into(), seq.into()];
    let sql = "SELECT audit_prune($1, $2) AS pruned";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let row = db.query_one_raw(statement).await.during("prune audit chain")?;
    row.map_or(Ok(0), |row| row.try_get("", "pruned")).during("prune audit chain")
}

/// Lets one prune of a tenant at a time go on, until its transaction ends.
pub async fn lock_prune(db: &impl ConnectionTrait, tenant: &str) -> Result<()> {
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended('audit prune ' || $1, 0))";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [tenant.into()]);
    db.query_one_raw(statement).await.during("lock audit chain").map(drop)
}

/// When a tenant's trail, or any, was last pruned.
pub async fn last_prune(
    db: &impl ConnectionTrait,
    tenant: Option<&str>,
) -> Result<Option<DateTimeUtc>> {
    let sql = "SELECT max(created_at) AS at FROM audit_checkpoints
        WHERE tenant_id = coalesce($1, tenant_id) AND kind = 'prune'";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [tenant.into()]);
    let row = db.query_one_raw(statement).await.during("read last prune")?;
    row.map_or(Ok(None), |row| row.try_get("", "at")).during("read last prune")
}

/// The time that many days ago; none while the clock is doubted.
pub async fn days_ago(db: &impl ConnectionTrait, days: u32) -> Result<Option<DateTimeUtc>> {
    let sql = format!("SELECT {VETTED} - make_interval(days => $1) AS at");
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [days.into()]);
    let row = db.query_one_raw(statement).await.during("read clock")?;
    row.ok_or(sea_orm::DbErr::RecordNotFound("clock".into()))
        .and_then(|row| row.try_get("", "at"))
        .during("read clock")
}
