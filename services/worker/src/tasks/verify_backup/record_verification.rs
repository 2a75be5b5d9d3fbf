//! Sees that stock restic can open the backup too, with the key file that is
//! kept beside it, and records that the backup was read whole and found good.

use async_trait::async_trait;
use yuantus_domain::operation_input::OfBackup;
use yuantus_identity::for_org;
use yuantus_operations::{Outcome, Run, Step, StepResult, crashpoint};

use crate::{
    Deps, failure,
    tasks::create_backup::{recorded, repository},
};

pub(super) struct RecordVerification;

#[async_trait]
impl Step<Deps> for RecordVerification {
    fn name(&self) -> &'static str {
        "record_verification"
    }

    fn crash_points(&self) -> &'static [&'static str] {
        &["after_mending"]
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let input: OfBackup = run.input()?;
        let (prefix, _) = recorded(run, run.key(), input.backup_id).await?;
        let repository = repository(deps, run, run.key(), &prefix).await?;
        let mended = repository.mend_key_file().await.map_err(failure::reading)?;
        crashpoint!("VerifyBackup.record_verification.after_mending");
        let note = mended.map(note).unwrap_or_default();
        if !note.is_empty() {
            tracing::warn!(prefix, note, "a backup's repository was mended");
        }
        let txn = run.begin().await?;
        for_org(run.key()).set_backup_verified(&txn, input.backup_id, &note).await?;
        Ok(Outcome::AdvanceIn(txn))
    }
}

/// What people are told of a backup that was mended.
fn note(wrong: &'static str) -> String {
    format!("its restic key file {wrong} and was written again when it was verified")
}
