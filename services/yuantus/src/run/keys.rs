//! The keys that secrets are sealed with, and proof that they are the right ones.
//!
//! Invariant: a process seals, signs, undoes and writes nothing before it has
//! opened every canary, so one that has another key only says so. The first
//! process that comes with a key seals the first canary; it must open what is
//! stored already.

use std::{sync::Arc, time::Duration};

use sea_orm::TransactionTrait;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use yuantus_audit::PURPOSE;
use yuantus_auth::{DerivedPasswords, Sealer, Signer, Tokens, purpose};
use yuantus_config::{Config, Secrets};
use yuantus_domain::OrgKey;
use yuantus_identity::{
    Context, Database,
    query::{
        key_canary::{self, Canary, SECRETS, TOKENS},
        sealed::{self, Sealed},
    },
    schema,
};

use crate::failure::{Failure, chain};

/// What canaries hold.
const CONTENT: &[u8] = b"yuantus";
/// Between two looks for an identity database that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// What is sealed, signed and derived with.
#[derive(Clone)]
pub(crate) struct Keys {
    /// Seals and opens secrets.
    pub(crate) sealer: Arc<Sealer>,
    /// Signs checkpoints of the audit trail.
    pub(crate) signer: Signer,
    /// Derives the passwords of roles that wait with spare databases.
    pub(crate) derived: DerivedPasswords,
}

/// Why the keys are not proved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The identity database failed.
    #[error(transparent)]
    Identity(#[from] yuantus_identity::Error),
    /// The audit trail could not be looked at.
    #[error(transparent)]
    Audit(#[from] yuantus_audit::Error),
    /// A canary could not be sealed.
    #[error(transparent)]
    Auth(#[from] yuantus_auth::Error),
    /// The key is another one than what is stored needs.
    #[error(
        "secrets.key (YUANTUS_SECRET_KEY) is key `{ours}`, but {what}: set the key that this \
         control plane was set up with, or add it to secrets.previous_keys \
         (YUANTUS_PREVIOUS_SECRET_KEYS) and run `yuantus db rotate-key`; nothing was done"
    )]
    Secrets {
        /// The name of the key there is.
        ours: String,
        /// What it does not open.
        what: String,
    },
    /// The secret of tokens is not the one they are signed with.
    #[error(
        "auth.jwt_secret (YUANTUS_JWT_SECRET_KEY) is not what this control plane's tokens are \
         signed with: set that, or add it to auth.previous_jwt_secrets \
         (YUANTUS_PREVIOUS_JWT_SECRETS); where its tokens must no longer be taken, run \
         `yuantus db rotate-key --accept-jwt-secret` with the new one; nothing was done"
    )]
    Tokens,
}

impl Error {
    fn is_transient(&self) -> bool {
        use yuantus_audit::Error::Identity;
        match self {
            Self::Identity(error) | Self::Audit(Identity(error)) => error.is_transient(),
            _ => false,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let action = match &error {
            Error::Identity(_) => {
                "prove the keys with the identity database, which `yuantus db upgrade` prepares"
            }
            Error::Audit(_) | Error::Auth(_) | Error::Secrets { .. } | Error::Tokens => {
                "prove the keys"
            }
        };
        Self::local(action, error)
    }
}

impl Keys {
    /// Takes the configuration's keys.
    pub(crate) fn new(secrets: &Secrets) -> Result<Self, Failure> {
        let refused = |error| Failure::local("use secrets.key", error);
        let mut sealer = Sealer::new(&secrets.key).map_err(refused)?;
        let mut signer = Signer::new(&secrets.key, PURPOSE).map_err(refused)?;
        for previous in &secrets.previous_keys {
            let refused = |error| Failure::local("use secrets.previous_keys", error);
            sealer = sealer.with_previous(previous).map_err(refused)?;
            signer = signer.with_previous(previous, PURPOSE).map_err(refused)?;
        }
        let derived = DerivedPasswords::new(&secrets.key).map_err(refused)?;
        Ok(Self { sealer: Arc::new(sealer), signer, derived })
    }

    /// Opens every canary, and seals one with the current key where it has none.
    pub(crate) async fn prove(&self, db: &Database) -> Result<(), Error> {
        let canaries = key_canary::canaries(db, SECRETS).await?;
        let ours = self.sealer.key_name();
        if canaries.iter().any(|canary| canary.key_name == ours) {
            return self.open(&canaries);
        }
        let txn = db.begin().await.during("begin")?;
        // Others that come first at the same time wait here.
        key_canary::lock(&txn).await?;
        let canaries = key_canary::canaries(&txn, SECRETS).await?;
        if canaries.is_empty() {
            for kind in sealed::Kind::ALL {
                let first = kind.first(&txn).await?;
                first.map_or(Ok(()), |first| self.try_open(kind, &first))?;
            }
            if !yuantus_audit::is_ours(&txn, &self.signer).await? {
                let what = "the audit trail's newest checkpoint is signed with another";
                return Err(self.refused(what.to_owned()));
            }
        }
        self.open(&canaries)?;
        let canary = self.sealer.seal(CONTENT, &purpose::key_canary())?;
        let new = Canary { key_name: ours.to_owned(), canary };
        key_canary::insert(&txn, SECRETS, &new).await?;
        txn.commit().await.during("commit key canary")?;
        Ok(())
    }

    fn open(&self, canaries: &[Canary]) -> Result<(), Error> {
        for canary in canaries {
            self.sealer.open(&canary.canary, &purpose::key_canary()).map_err(|_| {
                self.refused(format!("secrets are sealed with key `{}`", canary.key_name))
            })?;
        }
        Ok(())
    }

    /// Opens a value that was sealed before there were canaries.
    fn try_open(&self, kind: sealed::Kind, sealed: &Sealed) -> Result<(), Error> {
        open_sealed(&self.sealer, kind, sealed).map(drop).map_err(|_| {
            let (tenant, org) = (&sealed.tenant_id, &sealed.org_id);
            self.refused(format!("the {} of `{tenant}/{org}` does not open with it", kind.as_str()))
        })
    }

    fn refused(&self, what: String) -> Error {
        Error::Secrets { ours: self.sealer.key_name().to_owned(), what }
    }
}

/// Opens a sealed value of the identity database.
pub(crate) fn open_sealed(
    sealer: &Sealer,
    kind: sealed::Kind,
    value: &Sealed,
) -> yuantus_auth::Result<SecretString> {
    let version = value.version.unsigned_abs();
    let nobody = || yuantus_auth::Error::Open {
        aad: format!("{} of {}/{}", kind.as_str(), value.tenant_id, value.org_id),
    };
    let key = OrgKey::parse(&value.tenant_id, &value.org_id).map_err(|_| nobody())?;
    sealer.open(&value.sealed, &sealed_for(kind, &key, version))
}

/// What a sealed value of the identity database is sealed for.
pub(crate) fn sealed_for(kind: sealed::Kind, key: &OrgKey, version: u32) -> yuantus_auth::Aad<'_> {
    match kind {
        sealed::Kind::DatabasePassword => purpose::database_password(key, version),
        sealed::Kind::BackupKey => purpose::backup_key(key, version),
    }
}

/// Refuses where tokens are signed with a secret that is neither ours nor one
/// that we had before. The first secret is taken as it comes.
pub(crate) async fn prove_tokens(db: &Database, tokens: &Tokens) -> Result<(), Error> {
    let ours = tokens.key_names().next().unwrap_or_default();
    let of = |canaries: &[Canary], name: &str| canaries.iter().any(|one| one.key_name == name);
    if of(&key_canary::canaries(db, TOKENS).await?, ours) {
        return Ok(());
    }
    let txn = db.begin().await.during("begin")?;
    key_canary::lock(&txn).await?;
    let canaries = key_canary::canaries(&txn, TOKENS).await?;
    if !canaries.is_empty() && !tokens.key_names().any(|name| of(&canaries, name)) {
        return Err(Error::Tokens);
    }
    let new = Canary { key_name: ours.to_owned(), canary: Vec::new() };
    key_canary::insert(&txn, TOKENS, &new).await?;
    txn.commit().await.during("commit key canary")?;
    Ok(())
}

/// Proves the key of secrets, where there is one: some verbs do without.
pub(crate) async fn prove_if_set(config: &Config, db: &Database) -> Result<(), Failure> {
    if config.secrets.key.expose_secret().is_empty() {
        return Ok(());
    }
    Ok(Keys::new(&config.secrets)?.prove(db).await?)
}

/// Proves the keys as soon as the identity database answers. False if `shutdown`
/// came first.
pub(crate) async fn until_proved(
    db: &Database,
    keys: &Keys,
    tokens: Option<&Tokens>,
    shutdown: &CancellationToken,
) -> Result<bool, Failure> {
    loop {
        let proved = shutdown.run_until_cancelled(prove_all(db, keys, tokens)).await;
        match proved {
            None => return Ok(false),
            Some(Ok(())) => return Ok(true),
            Some(Err(error)) if error.is_transient() => {
                tracing::warn!(error = %chain(&error), "waiting for the identity database");
            }
            Some(Err(error)) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shutdown.cancelled() => return Ok(false),
        }
    }
}

/// Sees that the identity database is one that this program can work on, and
/// proves the keys at once.
pub(crate) async fn prove_all(
    db: &Database,
    keys: &Keys,
    tokens: Option<&Tokens>,
) -> Result<(), Error> {
    schema::check(db).await?;
    keys.prove(db).await?;
    match tokens {
        Some(tokens) => prove_tokens(db, tokens).await,
        None => Ok(()),
    }
}
