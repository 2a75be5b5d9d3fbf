//! The identity database's clock: tokens go by it, and a person may confirm it.

use std::time::{Duration, Instant};

use sea_orm::TransactionTrait;
use serde_json::json;
use yuantus_auth::clock;
use yuantus_domain::{Result, id::PLATFORM};
use yuantus_identity::{
    Context, Database,
    query::{clock as identity_clock, deployment},
};

use super::audit;

/// Between two looks at the identity database's clock.
const INTERVAL: Duration = Duration::from_secs(10);
/// A host whose clock differs by more seconds is told of.
pub const TOLERANCE: i64 = 30;
/// How often it is told of.
const REMIND: Duration = Duration::from_secs(600);

/// Asks for the identity database's time and goes by it from now on. Answers
/// how many seconds it is ahead of the host's clock.
pub async fn sync(db: &Database) -> Result<i64> {
    let begun = Instant::now();
    let milliseconds = deployment::clock(db).await?;
    let took = begun.elapsed();
    // Between question and answer; the middle is the best guess.
    let at = begun + took / 2;
    clock::set(Duration::from_millis(milliseconds.unsigned_abs()), at);
    Ok(offset())
}

/// Asks for the identity database's time unless it is known: before a token is
/// issued.
pub(super) async fn ensure_known(db: &Database) -> Result<()> {
    if !clock::is_known() {
        sync(db).await?;
    }
    Ok(())
}

/// How many seconds the identity database's clock is ahead of the host's.
pub fn offset() -> i64 {
    clock::now().cast_signed() - clock::host().cast_signed()
}

/// Goes by the identity database's clock, and says so where the host's differs
/// much. Never returns.
pub async fn run_sync(db: Database) {
    let mut said: Option<Instant> = None;
    loop {
        match sync(&db).await {
            Ok(offset) if offset.abs() > TOLERANCE => {
                if said.is_none_or(|at| at.elapsed() >= REMIND) {
                    said = Some(Instant::now());
                    let (database, host) = (clock::now(), clock::host());
                    tracing::warn!(
                        offset_seconds = offset,
                        database_clock = database,
                        host_clock = host,
                        "this host's clock and the identity database's differ; \
                        tokens go by the database's"
                    );
                }
            }
            Ok(_) => {
                if said.take().is_some() {
                    tracing::info!("this host's clock and the identity database's agree again");
                }
            }
            Err(error) => tracing::debug!(%error, "cannot ask for the identity database's time"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Records that a person found the identity database's clock right. Answers
/// what it says (RFC 3339), and why it was not believed.
pub async fn confirm(db: &Database) -> Result<(String, String)> {
    let txn = db.begin().await.during("begin")?;
    let (at, doubt) = identity_clock::confirm(&txn).await?;
    let details = json!({ "clock": at.to_rfc3339(), "doubt": doubt });
    audit::record(&txn, "clock.confirm", PLATFORM, "", "clock".to_owned(), details).await?;
    txn.commit().await.during("commit")?;
    Ok((at.to_rfc3339(), doubt))
}
