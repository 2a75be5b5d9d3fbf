//! Signing where a chain is, so that what comes before cannot be written anew
//! or cut off by anybody who has the database but not the key.

use sea_orm::{DatabaseTransaction, IsolationLevel, TransactionTrait};
use yuantus_identity::{
    Context,
    query::audit_chain::{self, Checkpoint},
};
use yuantus_operations::crashpoint;

use crate::{
    Broken, Error, Result, Signing,
    anchor::{Anchor, anchor},
    chain::Chain,
    checkpoint::{self, PERIODIC, Range},
    verify::BATCH,
    witness,
};

/// How often it is tried while others sign the same chain.
const TRIES: usize = 3;

/// What was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Where the chain is.
    pub seq: i64,
    /// Its hash there, in hex. Kept elsewhere, it proves the chain even
    /// against somebody who has both the database and the key.
    pub hash: String,
}

/// Verifies what was added since the newest checkpoint, and signs a new one.
/// Answers nothing where nothing was added.
pub async fn seal(with: Signing<'_>, tenant: &str) -> Result<Option<Sealed>> {
    match covering(with, tenant).await? {
        Some(newest) => compare_copy(with, tenant, &newest).await,
        None => sign_and_publish(with, tenant).await,
    }
}

/// As [`seal`], and signs anew what is signed with a previous key. The new
/// checkpoint holds those before it, so that the previous key is not needed.
pub async fn renew(with: Signing<'_>, tenant: &str) -> Result<Option<Sealed>> {
    match covering(with, tenant).await? {
        Some(newest) if newest.key_id == with.signer.key_id() => {
            compare_copy(with, tenant, &newest).await
        }
        _ => sign_and_publish(with, tenant).await,
    }
}

/// Puts the newest checkpoint into the bucket where the process ended before it
/// did; says what is wrong where the bucket knows a newer one.
async fn compare_copy(
    with: Signing<'_>,
    tenant: &str,
    newest: &Checkpoint,
) -> Result<Option<Sealed>> {
    let copy = witness::read(with.store, tenant).await?.and_then(|copy| copy.number);
    if copy > newest.number {
        return sign_and_publish(with, tenant).await;
    }
    if copy < newest.number {
        let broken = |broken| Error::Broken { tenant: tenant.to_owned(), broken };
        checkpoint::check(with.signer, newest).map_err(broken)?;
        publish(with, newest).await?;
    }
    Ok(None)
}

async fn sign_and_publish(with: Signing<'_>, tenant: &str) -> Result<Option<Sealed>> {
    let mut tries = 0;
    let sealed = loop {
        tries += 1;
        match sign(with, tenant).await {
            Err(Error::Identity(error)) if error.is_unique_violation() && tries < TRIES => {}
            signed => break signed?,
        }
    };
    let Some(new) = sealed else { return Ok(None) };
    publish(with, &new).await?;
    Ok(Some(Sealed { seq: new.seq, hash: hex::encode(new.hash) }))
}

/// Puts a checkpoint that was committed into the bucket.
pub(crate) async fn publish(with: Signing<'_>, new: &Checkpoint) -> Result<()> {
    crashpoint!("seal_audit.after_commit");
    witness::write(with.store, new).await?;
    crashpoint!("seal_audit.after_copy");
    Ok(())
}

/// The newest checkpoint, if it has a number and is at the end of the chain.
async fn covering(with: Signing<'_>, tenant: &str) -> Result<Option<Checkpoint>> {
    let newest = audit_chain::newest_checkpoint(with.db, tenant, None).await?;
    let head = audit_chain::head(with.db, tenant).await?;
    let Some((newest, head)) = newest.zip(head) else { return Ok(None) };
    let covers = newest.number.is_some() && (head.seq, &head.hash) == (newest.seq, &newest.hash);
    Ok(covers.then_some(newest))
}

async fn sign(with: Signing<'_>, tenant: &str) -> Result<Option<Checkpoint>> {
    let broken = |broken: Broken| Error::Broken { tenant: tenant.to_owned(), broken };
    let copy = witness::read(with.store, tenant).await?;
    let txn = begin(with, tenant).await?;
    let found = anchor(&txn, with.signer, tenant, copy.as_ref(), with.interval).await?;
    let Anchor { newest, place } = found.map_err(broken)?;
    let (chain, range) = rest(&txn, tenant, newest.as_ref()).await?.map_err(broken)?;
    let named = (tenant, PERIODIC);
    let new = range.checkpoint(with.signer, named, &chain, newest.as_ref(), place);
    let Some(new) = new else { return Ok(None) };
    audit_chain::insert_checkpoint(&txn, &new).await?;
    txn.commit().await.during("commit checkpoint")?;
    Ok(Some(new))
}

/// A transaction that sees one state of the trail, and which no other of those
/// that sign it goes on beside.
pub(crate) async fn begin(with: Signing<'_>, tenant: &str) -> Result<DatabaseTransaction> {
    let isolation = Some(IsolationLevel::RepeatableRead);
    let txn = with.db.begin_with_config(isolation, None).await.during("begin")?;
    audit_chain::lock_prune(&txn, tenant).await?;
    Ok(txn)
}

/// Follows the chain from a checkpoint to its head.
pub(crate) async fn rest(
    txn: &DatabaseTransaction,
    tenant: &str,
    newest: Option<&Checkpoint>,
) -> Result<Result<(Chain, Range), Broken>> {
    let mut chain = Chain::behind(newest);
    let mut range = Range::default();
    loop {
        let links = audit_chain::links(txn, tenant, (chain.seq, i64::MAX), BATCH).await?;
        for link in &links {
            if let Err(broken) = chain.follow(link) {
                return Ok(Err(broken));
            }
            range.add(link);
        }
        if links.is_empty() {
            break;
        }
    }
    let head = audit_chain::head(txn, tenant).await?;
    let end = head.as_ref().map_or(0, |head| head.seq);
    if end != chain.seq || head.is_some_and(|head| head.hash != chain.hash) {
        let what = format!("the rows end here, the chain's head is {end}");
        return Ok(Err(Broken::at(chain.seq + 1, what)));
    }
    Ok(Ok((chain, range)))
}
