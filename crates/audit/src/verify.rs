//! Reading a tenant's chain whole, against its hashes, its head and what was
//! signed about it.

use sea_orm::{AccessMode, ConnectionTrait, IsolationLevel, TransactionTrait};
use yuantus_identity::{
    Context,
    query::audit_chain::{self, Checkpoint, Head},
};

use crate::{
    Broken, Error, Result, Signing,
    anchor::{aged, compare, unsigned},
    chain::Chain,
    checkpoint, signed, witness,
};

/// Rows held in memory at a time.
pub(crate) const BATCH: i64 = 500;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose chain.
    pub tenant: String,
    /// How many rows were verified.
    pub rows: i64,
    /// The first of them; 0 where there are none.
    pub first_seq: i64,
    /// The last of them; where there are none, the last that was pruned.
    pub last_seq: i64,
    /// Where the newest checkpoint is; 0 where there is none. What comes after
    /// it could be written anew by somebody who owns the database.
    pub checkpoint_seq: i64,
    /// What is wrong, if anything is.
    pub broken: Option<Broken>,
}

/// Verifies a tenant's chain as it is at one moment.
pub async fn verify(with: Signing<'_>, tenant: &str) -> Result<Report> {
    // Read before: what it names is committed then.
    let copy = witness::read(with.store, tenant).await;
    let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
    let txn = with.db.begin_with_config(Some(isolation), Some(access)).await.during("begin")?;
    let mut report = Report {
        tenant: tenant.to_owned(),
        rows: 0,
        first_seq: 0,
        last_seq: 0,
        checkpoint_seq: 0,
        broken: None,
    };
    report.broken = match copy {
        Ok(copy) => walk(&txn, with, copy.as_ref(), &mut report).await?.err(),
        Err(error @ Error::UnreadableCopy { .. }) => Some(Broken::at(1, error.to_string())),
        Err(error) => return Err(error),
    };
    txn.rollback().await.during("end verification")?;
    Ok(report)
}

async fn walk(
    db: &impl ConnectionTrait,
    with: Signing<'_>,
    copy: Option<&Checkpoint>,
    report: &mut Report,
) -> Result<Result<(), Broken>> {
    let tenant = report.tenant.clone();
    let pruned = audit_chain::newest_checkpoint(db, &tenant, Some(checkpoint::PRUNE)).await?;
    let mut chain = Chain::behind(pruned.as_ref());
    report.last_seq = chain.seq;
    let signed = match signed::follow(db, with.signer, &tenant, chain.seq).await? {
        Ok(signed) => signed,
        Err(broken) => return Ok(Err(broken)),
    };
    report.checkpoint_seq = signed.last().map_or(0, |last| last.seq);
    let newest = audit_chain::newest_checkpoint(db, &tenant, None).await?;
    let compared = compare(db, with.signer, &tenant, newest.as_ref(), copy).await?;
    if let Err(broken) = compared {
        return Ok(Err(broken));
    }
    if newest.is_none() && aged(db, &tenant, with.interval).await?.aged {
        return Ok(Err(unsigned()));
    }
    let head = audit_chain::head(db, &tenant).await?;
    let mut signed = signed.iter().peekable();
    if let Err(broken) = agree(&mut signed, &chain) {
        return Ok(Err(broken));
    }
    let mut place = (i64::MIN, i64::MIN);
    loop {
        let links = audit_chain::links(db, &tenant, place, BATCH).await?;
        let Some(last) = links.last() else { break };
        place = (last.seq, last.id);
        for link in &links {
            if let Err(broken) = chain.follow(link).and_then(|()| agree(&mut signed, &chain)) {
                return Ok(Err(broken));
            }
            report.rows += 1;
            report.last_seq = link.seq;
            if report.first_seq == 0 {
                report.first_seq = link.seq;
            }
        }
    }
    if let Some(later) = signed.next() {
        return Ok(Err(missing(&chain, later.seq, "a signed checkpoint")));
    }
    let begun = chain.seq > 0 || !audit_chain::known(db, vec![tenant]).await?.is_empty();
    Ok(ends(&chain, head.as_ref(), begun))
}

/// Compares the chain with the checkpoints at the row it is at.
fn agree<'a>(
    signed: &mut std::iter::Peekable<impl Iterator<Item = &'a Checkpoint>>,
    chain: &Chain,
) -> Result<(), Broken> {
    while let Some(here) = signed.next_if(|next| next.seq <= chain.seq) {
        if here.hash != chain.hash {
            let what = "the rows up to here were written anew since a checkpoint was signed";
            return Err(Broken::at(here.seq, what));
        }
    }
    Ok(())
}

/// Compares the chain with the head that its next row would follow.
fn ends(chain: &Chain, head: Option<&Head>, begun: bool) -> Result<(), Broken> {
    match head {
        None if !begun => Ok(()),
        None if chain.seq == 0 => Err(Broken::at(1, "there is no trail of the tenant at all")),
        None => Err(Broken::at(chain.seq + 1, "the head of the chain is missing")),
        Some(head) if head.seq > chain.seq => Err(missing(chain, head.seq, "the chain's head")),
        Some(head) if head.seq < chain.seq => {
            Err(Broken::at(head.seq + 1, "the rows from here on are not the head's"))
        }
        Some(head) if head.hash != chain.hash => {
            Err(Broken::at(chain.seq, "the last row is not the one that the chain's head names"))
        }
        Some(_) => Ok(()),
    }
}

fn missing(chain: &Chain, last: i64, witness: &str) -> Broken {
    Broken::at(chain.seq + 1, format!("the rows from here to {last} are missing, says {witness}"))
}
