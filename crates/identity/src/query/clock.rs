//! Looking at the identity database's clock, and what is known of it.
//!
//! Invariant: whoever deletes by age compares with [`VETTED`], a time that was
//! found right before. A clock that jumps between the look and the deletion
//! changes nothing.

use std::time::Instant;

use sea_orm::{ConnectionTrait, DbBackend, Statement, prelude::DateTimeUtc};

use crate::{
    Context, Result,
    clock::{HostTime, Look, Vetted, judge},
};

/// The newest time that was found right, as an expression of SQL; NULL while
/// the clock is doubted, which no age is compared with.
pub const VETTED: &str = "(SELECT vetted_at FROM clock WHERE doubt = '')";

/// What is known of the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The newest look that found it right.
    pub vetted: Vetted,
    /// Why it is not believed now; empty while it is.
    pub doubt: String,
    /// Since when it is not, by the clock in question.
    pub doubted_at: Option<DateTimeUtc>,
}

const READ: &str = "SELECT clock_timestamp() AS now, vetted_at, host_at, boot_id, uptime, doubt,
    doubted_at, coalesce(inet_server_addr() = inet_client_addr(), true) AS same FROM clock";

/// What is known of the clock.
pub async fn state(db: &impl ConnectionTrait) -> Result<State> {
    Ok(read(db).await?.0)
}

async fn read(db: &impl ConnectionTrait) -> Result<(State, DateTimeUtc, bool)> {
    let statement = Statement::from_string(DbBackend::Postgres, READ);
    let row = db.query_one_raw(statement).await.during("look at clock")?;
    let row = row.ok_or(sea_orm::DbErr::RecordNotFound("clock".into())).during("look at clock")?;
    let parse = || -> std::result::Result<_, sea_orm::DbErr> {
        let boot_id: String = row.try_get("", "boot_id")?;
        let at: Option<DateTimeUtc> = row.try_get("", "host_at")?;
        let uptime = row.try_get("", "uptime")?;
        let host = at.filter(|_| !boot_id.is_empty());
        let vetted = Vetted {
            database: row.try_get("", "vetted_at")?,
            host: host.map(|at| HostTime { at, boot_id, uptime }),
        };
        let (doubt, doubted_at) = (row.try_get("", "doubt")?, row.try_get("", "doubted_at")?);
        let state = State { vetted, doubt, doubted_at };
        let (now, same): (DateTimeUtc, bool) = (row.try_get("", "now")?, row.try_get("", "same")?);
        Ok((state, now, same))
    };
    parse().during("look at clock")
}

/// Looks at the clock and records what was found. Answers why it is not
/// believed, if so.
pub async fn look(db: &impl ConnectionTrait, host: HostTime) -> Result<Option<String>> {
    let begun = Instant::now();
    let (state, database, same_machine) = read(db).await?;
    let look = Look { database, host, took: begun.elapsed().as_secs_f64(), same_machine };
    let doubt = judge(&state.vetted, &look).err().map(|doubt| doubt.to_string());
    let sql = match &doubt {
        // Where a person confirmed the clock meanwhile, the next look says so.
        Some(_) => {
            "UPDATE clock SET doubt = $1, doubted_at = coalesce(doubted_at, now())
                WHERE vetted_at = $2"
        }
        None => {
            "UPDATE clock SET doubt = '', doubted_at = NULL, vetted_at = $3, host_at = $4,
                boot_id = $5, uptime = $6 WHERE $1 = '' AND vetted_at = $2"
        }
    };
    let Look { host, .. } = look;
    let mut values = vec![doubt.clone().unwrap_or_default().into(), state.vetted.database.into()];
    if doubt.is_none() {
        let found = [database.into(), host.at.into(), host.boot_id.into(), host.uptime.into()];
        values.extend::<[sea_orm::Value; 4]>(found);
    }
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("record clock")?;
    Ok(doubt)
}

/// Records that a person found the clock right as it is now; answers what it
/// says, and why it was doubted.
pub async fn confirm(db: &impl ConnectionTrait) -> Result<(DateTimeUtc, String)> {
    let sql = "WITH before AS (SELECT doubt FROM clock)
        UPDATE clock SET vetted_at = clock_timestamp(), host_at = NULL, boot_id = '',
            doubt = '', doubted_at = NULL
        FROM before RETURNING clock.vetted_at, before.doubt";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = db.query_one_raw(statement).await.during("confirm clock")?;
    let row = row.ok_or(sea_orm::DbErr::RecordNotFound("clock".into())).during("confirm clock")?;
    let at = row.try_get("", "vetted_at").during("confirm clock")?;
    Ok((at, row.try_get("", "doubt").during("confirm clock")?))
}

/// Puts back what was written by a clock that was ahead: sessions and keys
/// would live longer than they may. Only for a clock that is believed. Answers
/// how many rows that were.
pub async fn mend_lifetimes(db: &impl ConnectionTrait) -> Result<u64> {
    let sessions = "UPDATE sessions SET created_at = least(created_at, now()),
            last_used_at = now(), expires_at = expires_at - (last_used_at - now())
        WHERE last_used_at > now() + interval '1 minute' AND revoked_at IS NULL";
    let keys = "UPDATE api_keys SET created_at = now(),
            expires_at = expires_at - (created_at - now())
        WHERE created_at > now() + interval '1 minute'";
    let mut mended = 0;
    for sql in [sessions, keys] {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        mended += db.execute_raw(statement).await.during("mend lifetimes")?.rows_affected();
    }
    Ok(mended)
}
