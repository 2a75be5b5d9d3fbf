//! Whether what the control plane needs is there. Every check is bounded.

use std::time::Duration;

use yuantus_domain::{DatabaseName, Error, OrgKey, Result};
use yuantus_identity::{for_org, schema};

use super::App;

/// No check takes longer.
const BOUND: Duration = Duration::from_secs(2);

impl App {
    /// Whether the identity database answers, and has this program's schema:
    /// somebody may have upgraded it meanwhile.
    pub async fn check_identity(&self) -> Result<()> {
        bounded("the identity database", async { Ok(schema::check(&self.db).await?) }).await
    }

    /// Whether an org's database takes connections; without an org, whether
    /// the server of the orgs' databases answers.
    pub async fn check_database(&self, org: Option<&OrgKey>) -> Result<()> {
        match org {
            None => self.check_server().await,
            Some(key) => bounded("the org's database", self.check_org(key)).await,
        }
    }

    async fn check_org(&self, key: &OrgKey) -> Result<()> {
        let not_there = || unavailable(format!("org `{key}` has no usable database"));
        let row = for_org(key).database(&self.db).await?.ok_or_else(not_there)?;
        let name = DatabaseName::parse(&row.name)?;
        let accepting = self.server.is_accepting(&name).await;
        let accepting = accepting.map_err(|e| away("the tenant server", &e))?;
        accepting.then_some(()).ok_or_else(not_there)
    }

    async fn check_server(&self) -> Result<()> {
        let ping = async { self.server.ping().await.map_err(|e| away("the tenant server", &e)) };
        bounded("the tenant server", ping).await
    }

    /// Whether the bucket can be used.
    pub async fn check_storage(&self) -> Result<()> {
        let ping = async { self.store.ping().await.map_err(|error| unusable(&error)) };
        bounded("the bucket", ping).await
    }
}

/// What is wrong with the bucket: who sets it up wants S3's code, which has no secret in it.
fn unusable(error: &yuantus_storage::Error) -> Error {
    match error.answered() {
        _ if error.is_missing_bucket() => {
            log_failure("the bucket", error);
            unavailable("the bucket does not exist; the first to write there makes it".to_owned())
        }
        Some((status, code)) => {
            log_failure("the bucket", error);
            unavailable(format!("S3 refuses the use of the bucket: {status} {code}"))
        }
        None => away("the bucket", error),
    }
}

fn away(what: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    log_failure(what, error);
    unavailable(format!("{what} cannot be reached"))
}

fn log_failure(what: &str, error: &(dyn std::error::Error + 'static)) {
    tracing::debug!(error = %yuantus_operations::step::chain(error), what, "health check failed");
}

fn unavailable(message: String) -> Error {
    let retry_after = Duration::from_secs(2);
    Error::Unavailable { reason: "DEPENDENCY_UNAVAILABLE", message, retry_after }
}

async fn bounded(what: &str, check: impl Future<Output = Result<()>>) -> Result<()> {
    match tokio::time::timeout(BOUND, check).await {
        Ok(checked) => checked,
        Err(_) => Err(unavailable(format!("{what} did not answer within 2 seconds"))),
    }
}
