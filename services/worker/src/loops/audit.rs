//! The audit trail: signing where every tenant's chain is, and deleting what
//! is no longer kept. A tenant whose chain is broken keeps no other.

use yuantus_audit::{Error, prune, seal};
use yuantus_identity::query::{audit_chain, audit_log::Entry};
use yuantus_operations::StepError;

use crate::{Deps, failure};

/// Signs a checkpoint of every chain that has grown.
pub(super) async fn seal_all(deps: &Deps) -> Result<(), StepError> {
    for tenant in audit_chain::tenants(&deps.db).await? {
        match seal(deps.signing(), &tenant).await {
            Ok(Some(sealed)) => {
                let (seq, hash) = (sealed.seq, sealed.hash.as_str());
                tracing::info!(tenant_id = tenant, seq, hash, "signed an audit checkpoint");
            }
            Ok(None) => {}
            Err(error) => tell(&tenant, error)?,
        }
    }
    Ok(())
}

/// Deletes what is no longer kept.
pub(super) async fn prune_all(deps: &Deps) -> Result<(), StepError> {
    if deps.audit.retention.is_unlimited() {
        return Ok(());
    }
    let by = Entry { actor: "worker".to_owned(), ..Entry::default() };
    for tenant in audit_chain::tenants(&deps.db).await? {
        if let Err(error) = prune(deps.signing(), &tenant, deps.audit.retention, &by).await {
            tell(&tenant, error)?;
        }
    }
    Ok(())
}

fn tell(tenant: &str, error: Error) -> Result<(), StepError> {
    match error {
        Error::Identity(error) => Err(error.into()),
        Error::Storage(error) => Err(failure::storage(error)),
        Error::UnreadableCopy { .. } => {
            tracing::error!(tenant_id = tenant, %error, "the audit trail of a tenant is broken");
            Ok(())
        }
        Error::Broken { broken, .. } => {
            let (seq, what) = (broken.seq, broken.what.as_str());
            tracing::error!(tenant_id = tenant, seq, what, "the audit trail of a tenant is broken");
            Ok(())
        }
    }
}
