//! What a checkpoint says, and whether it was said by this deployment.

use yuantus_auth::Signer;
use yuantus_identity::query::audit_chain::{Checkpoint, Link};

use crate::{Broken, chain::Chain};

/// What the key of the signatures is derived for.
pub const PURPOSE: &str = "audit checkpoints";

/// The rows up to here were deleted on purpose.
pub(crate) const PRUNE: &str = "prune";
/// The chain is here now.
pub(crate) const PERIODIC: &str = "periodic";

/// The rows that a checkpoint is about.
#[derive(Default)]
pub(crate) struct Range {
    rows: i64,
    first: Option<Link>,
    last: Option<Link>,
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
    /// last ones; nothing without rows.
    pub(crate) fn checkpoint(
        self,
        signer: &Signer,
        tenant: &str,
        kind: &str,
        chain: &Chain,
    ) -> Option<Checkpoint> {
        let (first, last) = self.first.zip(self.last)?;
        let mut checkpoint = Checkpoint {
            tenant_id: tenant.to_owned(),
            kind: kind.to_owned(),
            seq: chain.seq,
            hash: chain.hash.clone(),
            first_seq: first.seq,
            rows: self.rows,
            first_at: first.created_at,
            last_at: last.created_at,
            key_id: signer.key_id().to_owned(),
            signature: Vec::new(),
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
    Err(Broken::at(checkpoint.seq, "the checkpoint here was not signed by this deployment"))
}

/// What is signed: every field, each text and hash with its length before it.
fn content(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut content = b"yuantus audit checkpoint 1".to_vec();
    for text in [
        checkpoint.tenant_id.as_bytes(),
        checkpoint.kind.as_bytes(),
        checkpoint.key_id.as_bytes(),
        &checkpoint.hash,
    ] {
        content.extend_from_slice(&(text.len() as u64).to_be_bytes());
        content.extend_from_slice(text);
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
    content
}
