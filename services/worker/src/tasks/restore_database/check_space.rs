//! Sees that there is room for what a restore makes, before it makes anything.

use yuantus_backup::Manifest;
use yuantus_operations::{Run, StepError};

use crate::{Deps, space};

/// Refuses the restore where the loaded database would leave too little.
pub(super) async fn check(deps: &Deps, run: &Run, manifest: &Manifest) -> Result<(), StepError> {
    let what = format!("restoring `{}`", run.key());
    space::require(deps, &what, deps.space.of_dump(manifest.dump_bytes)).await
}
