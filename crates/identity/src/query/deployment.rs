//! The deployment's own row.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use crate::{Context, Result};

/// The id this control plane signs the databases it makes with.
pub async fn plane(db: &impl ConnectionTrait) -> Result<Uuid> {
    let statement = Statement::from_string(DbBackend::Postgres, "SELECT plane FROM deployment");
    let row = db.query_one_raw(statement).await.during("read deployment")?;
    row.ok_or(sea_orm::DbErr::RecordNotFound("deployment".into()))
        .and_then(|row| row.try_get("", "plane"))
        .during("read deployment")
}

/// The database's clock in milliseconds: grows from leader to leader.
pub async fn clock(db: &impl ConnectionTrait) -> Result<i64> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = db.query_one_raw(statement).await.during("read clock")?;
    row.ok_or(sea_orm::DbErr::RecordNotFound("clock".into()))
        .and_then(|row| row.try_get("", "now"))
        .during("read clock")
}
