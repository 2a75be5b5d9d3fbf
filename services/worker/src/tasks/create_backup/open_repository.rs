//! Makes sure that the org has a key. The repository itself is made by the claim
//! that writes it.

use async_trait::async_trait;
use secrecy::ExposeSecret;
use yuantus_auth::purpose;
use yuantus_backup::RepositoryKey;
use yuantus_identity::for_org;
use yuantus_operations::{Outcome, Run, Step, StepResult};

use crate::{Deps, failure};

pub(super) struct OpenRepository;

#[async_trait]
impl Step<Deps> for OpenRepository {
    fn name(&self) -> &'static str {
        "open_repository"
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let org = for_org(run.key());
        if org.backup_key(run.db()).await?.is_some() {
            return Ok(Outcome::Advance);
        }
        let key = RepositoryKey::generate().await.map_err(failure::backup)?;
        let secret = key.to_secret().map_err(failure::backup)?;
        let aad = purpose::backup_key(run.key(), 1);
        let sealed = deps.sealer.seal(secret.expose_secret().as_bytes(), &aad);
        let txn = run.begin().await?;
        org.insert_backup_key(&txn, sealed.map_err(failure::auth)?).await?;
        Ok(Outcome::AdvanceIn(txn))
    }
}
