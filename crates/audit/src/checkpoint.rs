//! What a checkpoint says, and whether it was said by this deployment.

use aws_lc_rs::digest::{Context, SHA256};
use sea_orm::ConnectionTrait;
use yuantus_auth::Signer;
use yuantus_identity::query::audit_chain::{self, Checkpoint, Link};

use crate::{Broken, Result, chain::Chain};

/// What the key of the signatures is derived for.
pub const PURPOSE: &str = "audit checkpoints";

/// The rows up to here were deleted on purpose.
pub(crate) const PRUNE: &str = "prune";
/// The chain is here now.
pub(crate) const PERIODIC: &str = "periodic";
/// The chain is here now, and goes on behind a checkpoint that was lost.
pub(crate) const RECOVERY: &str = "recovery";

/// What number 1 follows where there is nothing.
pub(crate) const ORIGIN: [u8; 32] = [0; 32];

/// The rows that a checkpoint is about.
#[derive(Default)]
pub(crate) struct Range {
    rows: i64,
    first: Option<Link>,
    last: Option<Link>,
}

/// Where a checkpoint stands among those of its tenant.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its number.
    pub(crate) number: i64,
    /// The digest of the one before.
    pub(crate) previous: Vec<u8>,
}

impl Range {
    /// Takes in the next row.
    pub(crate) fn add(&mut self, link: &Link) {
        self.rows += 1;
        if self.first.is_none() {
            self.first = Some(link.clone());
        }
        self.last = Some(link.clone());
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> i64 {
        self.rows
    }

    /// The signed statement that `chain` is where it is, these rows being its
    /// last ones. Without rows it repeats what `before` said of them; nothing
    /// where there is neither.
    pub(crate) fn checkpoint(
        self,
        signer: &Signer,
        (tenant, kind): (&str, &str),
        chain: &Chain,
        before: Option<&Checkpoint>,
        place: Place,
    ) -> Option<Checkpoint> {
        let (first_seq, first_at, last_at) = match (self.first.zip(self.last), before) {
            (Some((first, last)), _) => (first.seq, first.created_at, last.created_at),
            (None, Some(before)) => (chain.seq + 1, before.last_at, before.last_at),
            (None, None) => return None,
        };
        let mut checkpoint = Checkpoint {
            id: 0,
            tenant_id: tenant.to_owned(),
            kind: kind.to_owned(),
            seq: chain.seq,
            hash: chain.hash.clone(),
            first_seq,
            rows: self.rows,
            first_at,
            last_at,
            key_id: signer.key_id().to_owned(),
            signature: Vec::new(),
            number: Some(place.number),
            previous: Some(place.previous),
        };
        checkpoint.signature = signer.sign(&content(&checkpoint));
        Some(checkpoint)
    }
}

/// Refuses a checkpoint that this deployment did not sign.
pub(crate) fn check(signer: &Signer, checkpoint: &Checkpoint) -> Result<(), Broken> {
    if signer.is_signature(&content(checkpoint), &checkpoint.signature) {
        return Ok(());
    }
    let what = "the checkpoint here was not signed by this deployment, or with a key that is \
                neither secrets.key nor among secrets.previous_keys";
    Err(Broken::at(checkpoint.seq, what))
}

/// Whether the checkpoint that was made last, of any tenant, was signed with one
/// of these keys; so where there is none.
pub async fn is_ours(db: &impl ConnectionTrait, signer: &Signer) -> Result<bool> {
    let last = audit_chain::last_checkpoint(db).await?;
    Ok(last.is_none_or(|last| check(signer, &last).is_ok()))
}

/// What the next checkpoint says of this one: SHA-256 of it, signature included.
pub(crate) fn digest(checkpoint: &Checkpoint) -> Vec<u8> {
    fold(&[], checkpoint)
}

/// The digest of what `before` stands for and a checkpoint.
pub(crate) fn fold(before: &[u8], checkpoint: &Checkpoint) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    context.update(before);
    context.update(&content(checkpoint));
    context.update(&checkpoint.signature);
    context.finish().as_ref().to_vec()
}

/// What is signed: every field, each text and hash with its length before it.
fn content(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut content = match checkpoint.number {
        None => b"yuantus audit checkpoint 1".to_vec(),
        Some(_) => b"yuantus audit checkpoint 2".to_vec(),
    };
    for text in [
        checkpoint.tenant_id.as_bytes(),
        checkpoint.kind.as_bytes(),
        checkpoint.key_id.as_bytes(),
        &checkpoint.hash,
    ] {
        add_text(&mut content, text);
    }
    for number in [
        checkpoint.seq,
        checkpoint.first_seq,
        checkpoint.rows,
        checkpoint.first_at.timestamp_micros(),
        checkpoint.last_at.timestamp_micros(),
    ] {
        content.extend_from_slice(&number.to_be_bytes());
    }
    if let Some(number) = checkpoint.number {
        content.extend_from_slice(&number.to_be_bytes());
        add_text(&mut content, checkpoint.previous.as_deref().unwrap_or_default());
    }
    content
}

fn add_text(content: &mut Vec<u8>, text: &[u8]) {
    content.extend_from_slice(&(text.len() as u64).to_be_bytes());
    content.extend_from_slice(text);
}
