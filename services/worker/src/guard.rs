//! Whether this worker may change anything: what the identity database says of
//! itself is compared with what the server of the orgs' databases remembers.
//!
//! Invariant: nothing is claimed, and no loop runs, before the two were found to
//! agree, and while they were last found to differ. Where they differ, recovery
//! mode begins, which a person ends (`yuantus db release`).

use std::time::Duration;

use tokio::sync::watch;
use yuantus_identity::query::recovery;
use yuantus_operations::{StepError, crashpoint};
use yuantus_postgres::{Holder, HolderSession};

use crate::{Deps, failure};

/// Between two looks, once they agree.
const EVERY: Duration = Duration::from_secs(10);
/// Between two looks while they cannot be compared, or differ.
const SOON: Duration = Duration::from_secs(1);

/// A look that takes longer has told nothing.
const LONGEST: Duration = Duration::from_secs(15);

/// What came of a look.
enum Verdict {
    Agree,
    /// In recovery mode already; why.
    Parked(String),
    /// What differs.
    Differ(String),
}

/// Looks again and again, and says through `gate` whether the worker may work.
pub(crate) async fn run(deps: &Deps, gate: watch::Sender<bool>) {
    let mut session = None;
    let mut told = String::new();
    loop {
        let looked = tokio::time::timeout(LONGEST, look(deps, &mut session)).await;
        let looked = looked.unwrap_or_else(|_| Err(late()));
        let open = matches!(looked, Ok(Verdict::Agree));
        if let Some(line) = tell(&looked, &mut told) {
            tracing::warn!("{line}");
        }
        if let Ok(Verdict::Differ(reason)) = &looked {
            crashpoint!("Recovery.enter.before");
            if let Err(error) = recovery::enter(&deps.db, reason).await {
                tracing::warn!(%error, "recovery mode could not be entered");
            }
            crashpoint!("Recovery.enter.after");
        }
        if let Ok(Verdict::Parked(_)) = &looked
            && let Err(error) = recovery::park(&deps.db).await
        {
            tracing::debug!(%error, "operations could not be marked as parked");
        }
        // Whether anybody listens is no matter here.
        gate.send_replace(open);
        tokio::time::sleep(if open { EVERY } else { SOON }).await;
    }
}

fn late() -> StepError {
    let message = format!("no answer within {} s", LONGEST.as_secs());
    StepError::Retry { reason: "DATABASE_UNAVAILABLE", message, source: None }
}

/// What is to be logged of a look: each thing once.
fn tell(looked: &Result<Verdict, StepError>, told: &mut String) -> Option<String> {
    let line = match looked {
        Ok(Verdict::Agree) => String::new(),
        Ok(Verdict::Parked(reason)) | Ok(Verdict::Differ(reason)) => format!(
            "recovery mode, nothing is claimed or destroyed: {reason}; `yuantus doctor` lists \
             what differs, `yuantus db release` ends it"
        ),
        Err(error) => {
            format!("nothing is claimed before server and identity database agree: {error}")
        }
    };
    let news = (*told != line && !line.is_empty()).then(|| line.clone());
    *told = line;
    news
}

async fn look(deps: &Deps, session: &mut Option<HolderSession>) -> Result<Verdict, StepError> {
    // The server first: epochs grow in the identity database before the server
    // hears of them.
    let newest = deps.server.newest_claim().await.map_err(failure::postgres)?;
    let standing = recovery::standing(&deps.db).await?;
    if standing.recovery_since.is_some() {
        return Ok(Verdict::Parked(standing.recovery_reason));
    }
    if standing.plane != deps.plane {
        return Ok(Verdict::Parked("this identity database is another plane's by now".into()));
    }
    if newest > standing.newest_epoch {
        return Ok(Verdict::Differ(format!(
            "the server remembers claim {newest}, the newest of the identity database is {}",
            standing.newest_epoch
        )));
    }
    let holder = deps.server.holder(&standing.instance).await.map_err(failure::postgres)?;
    if let Holder::Other(other) = holder {
        *session = None;
        return Ok(Verdict::Differ(format!(
            "another copy of this identity database ({other}) holds its databases, this is {}",
            standing.instance
        )));
    }
    let lives = match session {
        Some(session) => session.others().await.is_ok(),
        None => false,
    };
    if !lives {
        *session = Some(deps.server.hold(&standing.instance).await.map_err(failure::postgres)?);
    }
    Ok(Verdict::Agree)
}
