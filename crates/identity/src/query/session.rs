//! Sessions and their refresh tokens.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    Context, Result, TenantScope,
    entity::session::{Column, Entity, Model},
    query::clock::VETTED,
};

/// A session of a user.
pub const USER: &str = "user";

/// A session that was opened at the console.
pub const BREAK_GLASS: &str = "break_glass";

/// A session to be recorded.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// Its id.
    pub id: Uuid,
    /// [`USER`] or [`BREAK_GLASS`].
    pub kind: &'static str,
    /// The tenant, or `platform`.
    pub tenant: &'a str,
    /// The user; none at the console.
    pub user: Option<i32>,
    /// The org of its first token.
    pub org: Option<&'a str>,
    /// Where the request came from.
    pub client_ip: &'a str,
    /// What sent it.
    pub user_agent: &'a str,
    /// For how many seconds it is good.
    pub seconds: i64,
}

/// What a refresh token that was presented is.
#[derive(Clone, Debug, PartialEq)]
pub enum Refresh {
    /// No session has it.
    Unknown,
    /// It was used before: it may have been stolen.
    Reused(Model),
    /// The newest of its session, and used up now.
    Good(Model),
}

const INSERT: &str = "
INSERT INTO sessions (id, kind, tenant_id, user_id, org_id, client_ip, user_agent, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now() + $8 * interval '1 second') RETURNING *";

/// Records a session.
pub async fn insert(db: &impl ConnectionTrait, new: NewSession<'_>) -> Result<Model> {
    let values = [
        new.id.into(),
        new.kind.into(),
        new.tenant.into(),
        new.user.into(),
        new.org.into(),
        new.client_ip.into(),
        new.user_agent.into(),
        new.seconds.into(),
    ];
    Entity::find()
        .from_raw_sql(Statement::from_sql_and_values(DbBackend::Postgres, INSERT, values))
        .one(db)
        .await
        .and_then(|row| row.ok_or(sea_orm::DbErr::RecordNotInserted))
        .during("insert session")
}

/// The session of that id, whatever became of it.
pub async fn by_id(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(db).await.during("find session")
}

/// Records the hash of a session's newest refresh token.
pub async fn insert_refresh_token(
    db: &impl ConnectionTrait,
    session: Uuid,
    hash: Vec<u8>,
) -> Result<()> {
    let sql = "INSERT INTO refresh_tokens (hash, session_id) VALUES ($1, $2)";
    let values = [hash.into(), session.into()];
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("insert refresh token")
        .map(drop)
}

/// The session of the refresh token of that hash, used or not.
pub async fn of_refresh_token(db: &impl ConnectionTrait, hash: &[u8]) -> Result<Option<Model>> {
    let known = "SELECT session_id FROM refresh_tokens WHERE hash = $1";
    match session_of(db, known, hash).await? {
        Some(id) => by_id(db, id).await,
        None => Ok(None),
    }
}

/// Uses up the refresh token of that hash, if it is one that can be.
pub async fn use_refresh_token(db: &impl ConnectionTrait, hash: &[u8]) -> Result<Refresh> {
    let used = "UPDATE refresh_tokens SET used_at = now()
        WHERE hash = $1 AND used_at IS NULL RETURNING session_id";
    if let Some(id) = session_of(db, used, hash).await? {
        return Ok(by_id(db, id).await?.map_or(Refresh::Unknown, Refresh::Good));
    }
    Ok(of_refresh_token(db, hash).await?.map_or(Refresh::Unknown, Refresh::Reused))
}

async fn session_of(
    db: &impl ConnectionTrait,
    sql: &'static str,
    hash: &[u8],
) -> Result<Option<Uuid>> {
    let values = [hash.to_vec().into()];
    let row = db
        .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("use refresh token")?;
    row.map(|row| row.try_get("", "session_id").during("use refresh token")).transpose()
}

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// Seconds from their beginning at most.
    pub whole: i64,
    /// Seconds from their last use at most.
    pub idle: i64,
}

const EXTEND: &str = "
UPDATE sessions SET last_used_at = now(), org_id = $2,
    expires_at = least(created_at + $3 * interval '1 second', now() + $4 * interval '1 second')
WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()
RETURNING floor(extract(epoch FROM expires_at - now()))::bigint AS seconds";

/// Records that a session was used, and for which org. Answers for how many
/// seconds it is good from now on; `None` where it is over.
pub async fn extend(
    db: &impl ConnectionTrait,
    id: Uuid,
    org: Option<&str>,
    life: Life,
) -> Result<Option<i64>> {
    let values = [id.into(), org.into(), life.whole.into(), life.idle.into()];
    let row = db
        .query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, EXTEND, values))
        .await
        .during("extend session")?;
    row.map(|row| row.try_get("", "seconds").during("extend session")).transpose()
}

/// The session of that id, if it can still be used.
pub async fn live(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>> {
    Entity::find_by_id(id)
        .filter(Column::RevokedAt.is_null())
        .filter(Expr::col(Column::ExpiresAt).gt(Expr::current_timestamp()))
        .one(db)
        .await
        .during("find live session")
}

/// Forgets at most `limit` sessions that ended a day ago or earlier, with their
/// refresh tokens; answers how many: none while the clock is doubted.
pub async fn forget_ended(db: &impl ConnectionTrait, limit: i64) -> Result<u64> {
    let sql = format!(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions
        WHERE least(expires_at, revoked_at) < {VETTED} - interval '1 day'
        ORDER BY least(expires_at, revoked_at) LIMIT $1)"
    );
    let forget = Statement::from_sql_and_values(DbBackend::Postgres, sql, [limit.into()]);
    Ok(db.execute_raw(forget).await.during("forget sessions")?.rows_affected())
}

/// Ends a session; answers whether it was not ended before.
pub async fn revoke(db: &impl ConnectionTrait, id: Uuid, reason: &str) -> Result<bool> {
    let revoked = Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::current_timestamp())
        .col_expr(Column::RevokedReason, Expr::value(reason))
        .filter(Column::Id.eq(id))
        .filter(Column::RevokedAt.is_null())
        .exec(db)
        .await
        .during("revoke session")?;
    Ok(revoked.rows_affected == 1)
}

impl TenantScope<'_> {
    /// At most `limit` sessions of a user that can still be used, newest
    /// first, older than `before`.
    pub async fn sessions(
        &self,
        db: &impl ConnectionTrait,
        user: i32,
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Model>> {
        let mut query = Entity::find()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::UserId.eq(user))
            .filter(Column::RevokedAt.is_null())
            .filter(Expr::col(Column::ExpiresAt).gt(Expr::current_timestamp()))
            .order_by_desc(Column::Id)
            .limit(limit as u64);
        if let Some(before) = before {
            query = query.filter(Column::Id.lt(before));
        }
        query.all(db).await.during("list sessions")
    }

    /// Ends all sessions of a user; answers how many.
    pub async fn revoke_sessions(
        &self,
        db: &impl ConnectionTrait,
        user: i32,
        reason: &str,
    ) -> Result<u64> {
        let revoked = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::current_timestamp())
            .col_expr(Column::RevokedReason, Expr::value(reason))
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::UserId.eq(user))
            .filter(Column::RevokedAt.is_null())
            .filter(Expr::col(Column::ExpiresAt).gt(Expr::current_timestamp()))
            .exec(db)
            .await
            .during("revoke sessions")?;
        Ok(revoked.rows_affected)
    }

    /// Ends one session of a user; answers whether there was one to end.
    pub async fn revoke_session(
        &self,
        db: &impl ConnectionTrait,
        user: i32,
        id: Uuid,
        reason: &str,
    ) -> Result<bool> {
        let revoked = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::current_timestamp())
            .col_expr(Column::RevokedReason, Expr::value(reason))
            .filter(Column::Id.eq(id))
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::UserId.eq(user))
            .filter(Column::RevokedAt.is_null())
            .filter(Expr::col(Column::ExpiresAt).gt(Expr::current_timestamp()))
            .exec(db)
            .await
            .during("revoke session of user")?;
        Ok(revoked.rows_affected == 1)
    }
}
