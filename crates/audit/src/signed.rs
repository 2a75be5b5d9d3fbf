//! Following the checkpoints of a tenant from number to number.

use sea_orm::ConnectionTrait;
use yuantus_auth::Signer;
use yuantus_identity::query::audit_chain::{self, Checkpoint};

use crate::{
    Broken, Result,
    anchor::unnumbered,
    checkpoint::{self, RECOVERY},
    verify::BATCH,
};

/// Verifies that the checkpoints are whole: each follows the one before, and the
/// newest one is signed, which holds those before it, whatever key they were
/// signed with. Answers those at or behind `seq`, in their order.
pub(crate) async fn follow(
    db: &impl ConnectionTrait,
    signer: &Signer,
    tenant: &str,
    seq: i64,
) -> Result<Result<Vec<Checkpoint>, Broken>> {
    let before = audit_chain::unnumbered_checkpoints(db, tenant).await?;
    let mut kept: Vec<_> = before.iter().filter(|one| one.seq >= seq).cloned().collect();
    let (mut number, mut previous) = (0, unnumbered(&before));
    let mut newest: Option<Checkpoint> = None;
    let mut place = (i64::MIN, i64::MIN);
    loop {
        let page = audit_chain::checkpoints(db, tenant, place, BATCH).await?;
        if page.is_empty() {
            break;
        }
        for one in page {
            let its = one.number.unwrap_or_default();
            place = (its, one.id);
            if let Err(broken) = follows(&one, number, &previous) {
                // A forged one among the unnumbered is named before what it breaks.
                let mut forged = before.iter().filter(|_| number == 0);
                let forged = forged.find_map(|one| checkpoint::check(signer, one).err());
                return Ok(Err(forged.unwrap_or(broken)));
            }
            (number, previous) = (its, checkpoint::digest(&one));
            if one.seq >= seq {
                kept.push(one.clone());
            }
            newest = Some(one);
        }
    }
    let unheld = match &newest {
        Some(newest) => std::slice::from_ref(newest),
        None => &before,
    };
    let checked: Result<Vec<()>, Broken> =
        unheld.iter().map(|one| checkpoint::check(signer, one)).collect();
    // One that tells of a prune is newer than those of the rows behind it.
    kept.sort_by_key(|one| (one.seq, one.number, one.id));
    Ok(checked.map(|_| kept))
}

/// Whether a checkpoint is the next one.
fn follows(one: &Checkpoint, number: i64, previous: &[u8]) -> Result<(), Broken> {
    let (due, its) = (number + 1, one.number.unwrap_or_default());
    if its < due {
        return Err(Broken::at(one.seq, format!("there are two checkpoints of number {its}")));
    }
    if its > due && one.kind != RECOVERY {
        let what = match its - 1 == due {
            true => format!("checkpoint {due} was deleted"),
            false => format!("checkpoints {due} to {} were deleted", its - 1),
        };
        return Err(Broken::at(one.first_seq, what));
    }
    if one.previous.as_deref() != Some(previous) {
        let what = match number {
            0 => "the checkpoints from before they had numbers are not those that the first \
                  numbered one was signed after"
                .to_owned(),
            number => format!("checkpoint {number} is not the one that {its} was signed after"),
        };
        return Err(Broken::at(one.first_seq, what));
    }
    Ok(())
}
