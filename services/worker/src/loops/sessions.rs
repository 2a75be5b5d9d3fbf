//! Forgetting sessions that are long over.

use yuantus_identity::query::session;
use yuantus_operations::StepError;

use crate::Deps;

/// How many at a time.
const BATCH: u64 = 1000;

/// Forgets what ended a day ago or earlier.
pub(super) async fn forget_ended(deps: &Deps) -> Result<(), StepError> {
    while session::forget_ended(&deps.db, BATCH.cast_signed()).await? == BATCH {}
    Ok(())
}
