//! Going on with a trail whose newest checkpoints are lost. Only somebody who has
//! the key can say that they were not taken away, and the trail keeps that it was
//! said.

use yuantus_identity::{
    Context,
    query::{
        audit_chain,
        audit_log::{self, Entry},
    },
};

use crate::{
    Broken, Error, Result, Signing,
    anchor::{Anchor, aged, anchor},
    checkpoint::{self, Place, RECOVERY},
    seal::{begin, publish, rest},
    signed, witness,
};

/// Goes on with a trail whose newest checkpoints the identity database has lost,
/// as after it was restored from a dump: signs it as it is, behind the number
/// that the bucket knows. What it has must be whole. An entry of `by` says so.
/// Answers the numbers of the last checkpoint it had and of the lost one, 0 where
/// the bucket has lost that too; nothing where none was lost.
pub async fn recover(with: Signing<'_>, tenant: &str, by: &Entry) -> Result<Option<(i64, i64)>> {
    let broken = |broken: Broken| Error::Broken { tenant: tenant.to_owned(), broken };
    let copy = witness::read(with.store, tenant).await?;
    let newest = audit_chain::newest_checkpoint(with.db, tenant, None).await?;
    let had = newest.as_ref().and_then(|newest| newest.number).unwrap_or(0);
    if let Some(copy) = &copy {
        checkpoint::check(with.signer, copy).map_err(broken)?;
        if copy.number.unwrap_or(0) <= had || copy.tenant_id != tenant {
            return Ok(None);
        }
    } else if newest.is_some() || !aged(with.db, tenant, with.interval).await?.passed_over {
        return Ok(None);
    }
    let lost = copy.as_ref().and_then(|copy| copy.number).unwrap_or(0);
    let entry = Entry {
        tenant: tenant.to_owned(),
        action: "audit.recover",
        target: format!("tenants/{tenant}/audit"),
        details: serde_json::json!({
            "checkpoint": had, "lost_checkpoint": lost,
            "lost_seq": copy.as_ref().map(|copy| copy.seq),
            "lost_hash": copy.as_ref().map(|copy| hex::encode(&copy.hash)),
        }),
        ..by.clone()
    };
    audit_log::append(with.db, entry).await?;
    let txn = begin(with, tenant).await?;
    let found = anchor(&txn, with.signer, tenant, None, i64::MAX).await?;
    let Anchor { newest, place } = found.map_err(broken)?;
    signed::follow(&txn, with.signer, tenant, 0).await?.map_err(broken)?;
    let (chain, range) = rest(&txn, tenant, newest.as_ref()).await?.map_err(broken)?;
    let place = Place { number: lost + 1, ..place };
    let named = (tenant, RECOVERY);
    let new = range.checkpoint(with.signer, named, &chain, newest.as_ref(), place);
    let Some(new) = new else { return Ok(None) };
    audit_chain::insert_checkpoint(&txn, &new).await?;
    txn.commit().await.during("commit checkpoint")?;
    publish(with, &new).await?;
    Ok(Some((had, lost)))
}
