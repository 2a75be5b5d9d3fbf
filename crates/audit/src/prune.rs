//! Deleting the beginning of a chain.
//!
//! Invariant: rows go together with a signed checkpoint at the last of them,
//! in one transaction, after they were verified. Whatever a crash cuts off,
//! what is left can be verified from the newest checkpoint.

use sea_orm::{DatabaseTransaction, TransactionTrait};
use serde_json::json;
use yuantus_identity::{
    Context, Database,
    query::{
        audit_chain::{self, Checkpoint, Link},
        audit_log::{self, Entry},
    },
};
use yuantus_operations::crashpoint;

use crate::{
    Broken, Error, Result, Signing,
    anchor::anchor,
    chain::Chain,
    checkpoint::{PRUNE, Range},
    seal::publish,
    signed,
    verify::BATCH,
    witness,
};

/// Rows that one transaction deletes at most.
const ROWS: i64 = 20_000;

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Rows younger than this many days; all if 0.
    pub days: u32,
    /// As many of a tenant's newest rows; all if 0.
    pub max_rows: u32,
}

impl Retention {
    /// Whether everything is kept for ever.
    pub fn is_unlimited(self) -> bool {
        self == Self::default()
    }
}

/// What may go: rows up to `seq`, and those made before `time`, which none is
/// while the clock is doubted.
struct Limits {
    seq: i64,
    time: Option<sea_orm::prelude::DateTimeUtc>,
}

impl Limits {
    fn lets_go(&self, link: &Link) -> bool {
        link.seq <= self.seq || self.time.is_some_and(|time| link.created_at < time)
    }
}

/// Deletes what `retention` lets go of a tenant's trail; answers how many rows
/// that were. `by` says who did it; an entry of it is added for every
/// transaction.
pub async fn prune(
    with: Signing<'_>,
    tenant: &str,
    retention: Retention,
    by: &Entry,
) -> Result<i64> {
    let db = with.db;
    if retention.is_unlimited() {
        return Ok(0);
    }
    let limits = limits(db, tenant, retention).await?;
    let mut deleted = 0;
    loop {
        let copy = witness::read(with.store, tenant).await?;
        let txn = db.begin().await.during("begin")?;
        audit_chain::lock_prune(&txn, tenant).await?;
        let pruned = prune_some(&txn, with, (tenant, copy.as_ref()), &limits, by).await?;
        crashpoint!("prune_audit.before_commit");
        txn.commit().await.during("commit prune")?;
        let Some((rows, new)) = pruned else { return Ok(deleted) };
        crashpoint!("prune_audit.after_commit");
        publish(with, &new).await?;
        tracing::info!(tenant_id = tenant, rows, "pruned the audit trail");
        deleted += rows;
    }
}

async fn limits(db: &Database, tenant: &str, retention: Retention) -> Result<Limits> {
    let time = match retention.days {
        0 => None,
        days => {
            let time = audit_chain::days_ago(db, days).await?;
            if time.is_none() {
                tracing::warn!(
                    tenant_id = tenant,
                    "the identity database's clock is doubted: \
                    nothing of the audit trail is pruned by its age"
                );
            }
            time
        }
    };
    let head = audit_chain::head(db, tenant).await?.map_or(0, |head| head.seq);
    let pruned = audit_chain::newest_checkpoint(db, tenant, Some(PRUNE)).await?;
    let rows = head - pruned.map_or(0, |checkpoint| checkpoint.seq);
    let most = i64::from(retention.max_rows);
    // Pruning adds a row: there must be room for it, or it would never end.
    let seq = if most > 0 && rows > most { head - (most - 1) } else { 0 };
    Ok(Limits { seq, time })
}

async fn prune_some(
    txn: &DatabaseTransaction,
    with: Signing<'_>,
    (tenant, copy): (&str, Option<&Checkpoint>),
    limits: &Limits,
    by: &Entry,
) -> Result<Option<(i64, Checkpoint)>> {
    let broken = |broken: Broken| Error::Broken { tenant: tenant.to_owned(), broken };
    let found = anchor(txn, with.signer, tenant, copy, with.interval).await?;
    let place = found.map_err(broken)?.place;
    // Whatever it is signed with: the newest one holds it.
    signed::follow(txn, with.signer, tenant, i64::MAX).await?.map_err(broken)?;
    let before = audit_chain::newest_checkpoint(txn, tenant, Some(PRUNE)).await?;
    let mut chain = Chain::behind(before.as_ref());
    let mut range = Range::default();
    'rows: while range.rows() < ROWS {
        let links = audit_chain::links(txn, tenant, (chain.seq, i64::MAX), BATCH).await?;
        for link in &links {
            if !limits.lets_go(link) {
                break 'rows;
            }
            chain.follow(link).map_err(broken)?;
            range.add(link);
        }
        if links.is_empty() {
            break;
        }
    }
    let rows = range.rows();
    if rows == 0 {
        return Ok(None);
    }
    let new = range.checkpoint(with.signer, (tenant, PRUNE), &chain, None, place);
    let Some(new) = new else { return Ok(None) };
    audit_chain::insert_checkpoint(txn, &new).await?;
    crashpoint!("prune_audit.after_checkpoint");
    let deleted = audit_chain::prune(txn, tenant, new.seq).await?;
    if deleted != rows {
        let what = format!("{deleted} rows are there up to {}, not {rows}", new.seq);
        return Err(broken(Broken::at(new.first_seq, what)));
    }
    crashpoint!("prune_audit.after_delete");
    let entry = Entry {
        tenant: tenant.to_owned(),
        action: "audit.prune",
        target: format!("tenants/{tenant}/audit"),
        details: json!({ "rows": rows, "first_seq": new.first_seq, "last_seq": new.seq }),
        ..by.clone()
    };
    audit_log::append(txn, entry).await?;
    Ok(Some((rows, new)))
}
