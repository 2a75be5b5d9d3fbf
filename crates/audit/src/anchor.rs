//! What the next checkpoint of a tenant follows, proved as far as it is needed to
//! sign: the newest checkpoint is ours, and the bucket knows no newer one.

use sea_orm::ConnectionTrait;
use yuantus_auth::Signer;
use yuantus_identity::query::audit_chain::{self, Checkpoint};

use crate::{
    Broken, Result,
    checkpoint::{self, ORIGIN, Place},
};

/// How old a chain may become, in intervals between two checkpoints, before one
/// without any is taken for one whose checkpoints were deleted.
const AGED_INTERVALS: i64 = 3;

/// What the next checkpoint of a tenant follows.
pub(crate) struct Anchor {
    /// The newest checkpoint.
    pub(crate) newest: Option<Checkpoint>,
    /// Where the next one stands.
    pub(crate) place: Place,
}

/// Finds it. `copy` was read from the bucket before, and `interval` is the
/// number of seconds between two checkpoints.
pub(crate) async fn anchor(
    db: &impl ConnectionTrait,
    signer: &Signer,
    tenant: &str,
    copy: Option<&Checkpoint>,
    interval: i64,
) -> Result<Result<Anchor, Broken>> {
    let newest = audit_chain::newest_checkpoint(db, tenant, None).await?;
    let found = async {
        if let Some(newest) = &newest
            && let Err(broken) = checkpoint::check(signer, newest)
        {
            return Ok(Err(broken));
        }
        if newest.is_none() && copy.is_none() && aged(db, tenant, interval).await?.passed_over {
            return Ok(Err(unsigned()));
        }
        compare(db, signer, tenant, newest.as_ref(), copy).await
    };
    if let Err(broken) = found.await? {
        return Ok(Err(broken));
    }
    let number = newest.as_ref().and_then(|newest| newest.number).unwrap_or(0);
    let previous = match newest.as_ref().filter(|newest| newest.number.is_some()) {
        Some(newest) => checkpoint::digest(newest),
        None => unnumbered(&audit_chain::unnumbered_checkpoints(db, tenant).await?),
    };
    Ok(Ok(Anchor { newest, place: Place { number: number + 1, previous } }))
}

/// What number 1 says of the checkpoints that were there before it.
pub(crate) fn unnumbered(checkpoints: &[Checkpoint]) -> Vec<u8> {
    let fold = |before: Vec<u8>, one| checkpoint::fold(&before, one);
    checkpoints.iter().fold(ORIGIN.to_vec(), fold)
}

/// How old a chain is, which has no checkpoint.
pub(crate) async fn aged(
    db: &impl ConnectionTrait,
    tenant: &str,
    interval: i64,
) -> Result<audit_chain::Age> {
    let aged = interval.saturating_mul(AGED_INTERVALS).min(i32::MAX.into());
    Ok(audit_chain::age(db, tenant, aged).await?)
}

pub(crate) fn unsigned() -> Broken {
    Broken::at(
        1,
        "nothing of the trail is signed, though it is old: its checkpoints were deleted, \
                   or no worker has run since it began",
    )
}

/// Compares the identity database with the copy in the bucket.
pub(crate) async fn compare(
    db: &impl ConnectionTrait,
    signer: &Signer,
    tenant: &str,
    newest: Option<&Checkpoint>,
    copy: Option<&Checkpoint>,
) -> Result<Result<(), Broken>> {
    let Some(copy) = copy else { return Ok(Ok(())) };
    let (theirs, ours) = (copy.number.unwrap_or(0), newest.and_then(|newest| newest.number));
    let here = audit_chain::numbered_checkpoint(db, tenant, theirs).await?;
    let what = match here {
        Some(here) if checkpoint::digest(&here) == checkpoint::digest(copy) => return Ok(Ok(())),
        _ if copy.tenant_id != tenant || checkpoint::check(signer, copy).is_err() => {
            "the copy of the newest checkpoint in the bucket was not signed by this deployment"
                .to_owned()
        }
        Some(_) => format!("checkpoint {theirs} is another one than its copy in the bucket"),
        None => match ours {
            None => format!("its checkpoints were deleted: the bucket holds number {theirs}"),
            // After a recovery, numbers in between are left out for good.
            Some(ours) if ours > theirs => return skipped(db, tenant, theirs).await,
            Some(ours) => format!(
                "the bucket holds checkpoint {theirs}, and the newest one here is {ours}: later \
                 ones were deleted, or the identity database is an earlier state of itself"
            ),
        },
    };
    Ok(Err(Broken::at(newest.map_or(0, |newest| newest.seq) + 1, what)))
}

/// Whether a checkpoint that is not here any more was left out by a recovery.
async fn skipped(
    db: &impl ConnectionTrait,
    tenant: &str,
    number: i64,
) -> Result<Result<(), Broken>> {
    let next = audit_chain::checkpoints(db, tenant, (number, i64::MAX), 1).await?;
    Ok(match next.first() {
        Some(next) if next.kind == checkpoint::RECOVERY => Ok(()),
        _ => Err(Broken::at(1, format!("checkpoint {number} was deleted"))),
    })
}
