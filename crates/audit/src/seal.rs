//! Signing where a chain is, so that what comes before cannot be written anew
//! or cut off by anybody who has the database but not the key.

use sea_orm::{IsolationLevel, TransactionTrait};
use yuantus_auth::Signer;
use yuantus_identity::{Context, Database, query::audit_chain};

use crate::{
    Broken, Error, Result,
    chain::Chain,
    checkpoint::{self, PERIODIC, Range},
    verify::BATCH,
};

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
pub async fn seal(db: &Database, signer: &Signer, tenant: &str) -> Result<Option<Sealed>> {
    let broken = |broken: Broken| Error::Broken { tenant: tenant.to_owned(), broken };
    let isolation = Some(IsolationLevel::RepeatableRead);
    let txn = db.begin_with_config(isolation, None).await.during("begin")?;
    let before = audit_chain::newest_checkpoint(&txn, tenant, None).await?;
    if let Some(before) = &before {
        checkpoint::check(signer, before).map_err(broken)?;
    }
    let mut chain = Chain::behind(before.as_ref());
    let mut range = Range::default();
    loop {
        let links = audit_chain::links(&txn, tenant, (chain.seq, i64::MAX), BATCH).await?;
        for link in &links {
            chain.follow(link).map_err(broken)?;
            range.add(link);
        }
        if links.is_empty() {
            break;
        }
    }
    let head = audit_chain::head(&txn, tenant).await?;
    let end = head.as_ref().map_or(0, |head| head.seq);
    if end != chain.seq || head.is_some_and(|head| head.hash != chain.hash) {
        let what = format!("the rows end here, the chain's head is {end}");
        return Err(broken(Broken::at(chain.seq + 1, what)));
    }
    let Some(new) = range.checkpoint(signer, tenant, PERIODIC, &chain) else { return Ok(None) };
    audit_chain::insert_checkpoint(&txn, &new).await?;
    txn.commit().await.during("commit checkpoint")?;
    Ok(Some(Sealed { seq: new.seq, hash: hex::encode(new.hash) }))
}
