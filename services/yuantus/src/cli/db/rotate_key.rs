//! `yuantus db rotate-key`: everything that a previous key sealed is sealed with
//! the current one, and every audit trail is signed with it, until the previous
//! keys are needed by nothing.
//!
//! Invariants: every batch is one transaction, and a value is replaced only as it
//! was read, so this may be killed at any line, run again, and go on beside API
//! and workers. A previous key's canary goes last, in a transaction that nobody
//! seals or signs beside and which sees that nothing needs that key: after it,
//! the identity database takes nothing more that the key made.

use std::collections::BTreeMap;

use clap::Args;
use sea_orm::TransactionTrait;
use secrecy::ExposeSecret;
use serde::Serialize;
use yuantus_audit::Signing;
use yuantus_config::{Config, Purpose};
use yuantus_domain::OrgKey;
use yuantus_identity::{
    Context, Database,
    query::{
        audit_chain,
        key_canary::{self, Canary, SECRETS, TOKENS},
        sealed::Kind,
    },
};
use yuantus_operations::crashpoint;
use yuantus_storage::ObjectStore;

use crate::{
    failure::{Failure, chain},
    output::{Output, Show, note},
    run::{
        api,
        keys::{Keys, open_sealed, prove_tokens, sealed_for},
        refused, store,
    },
};

/// Values in one transaction.
const BATCH: i64 = 100;
/// How often it looks again for what was made with a previous key meanwhile.
const ROUNDS: usize = 10;

/// Options of `db rotate-key`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Take auth.jwt_secret as it is, though tokens were signed with another one
    /// that is not among auth.previous_jwt_secrets: those are refused from now on
    #[arg(long)]
    accept_jwt_secret: bool,
}

/// What was done.
#[derive(Default, Serialize)]
struct Rotated {
    /// The key that everything is sealed with now.
    key: String,
    /// How many values were sealed with it, of each kind.
    sealed: BTreeMap<&'static str, u64>,
    /// How many audit trails were signed with it.
    signed: u64,
    /// How many previous keys are not needed any more.
    retired: u64,
}

/// A rotation under way.
struct Rotation<'a> {
    db: Database,
    keys: &'a Keys,
    store: ObjectStore,
    interval: i64,
    done: Rotated,
    /// What cannot be opened or signed, and why.
    left: BTreeMap<String, String>,
    /// Tenants whose audit trail is broken.
    broken: Vec<String>,
}

impl Options {
    /// Rotates.
    pub(super) async fn run(self, config: &Config, output: Output) -> Result<(), Failure> {
        config.require(Purpose::Worker).map_err(refused)?;
        let keys = Keys::new(&config.secrets)?;
        let db = super::open(config).await?;
        keys.prove(&db).await?;
        self.accept_tokens(config, &db).await?;
        let seconds = i64::from(config.audit.checkpoint_interval_seconds);
        let mut rotation = Rotation {
            db,
            keys: &keys,
            store: store(config),
            interval: seconds,
            done: Rotated { key: keys.sealer.key_name().to_owned(), ..Rotated::default() },
            left: BTreeMap::new(),
            broken: Vec::new(),
        };
        let whole = rotation.run().await?;
        output.one(&rotation.done)?;
        rotation.report(whole)
    }

    async fn accept_tokens(&self, config: &Config, db: &Database) -> Result<(), Failure> {
        if config.auth.jwt_secret.expose_secret().is_empty() {
            return Ok(());
        }
        let local = |error| Failure::local("use auth.jwt_secret", error);
        let tokens = api::tokens(config).map_err(local)?;
        if !self.accept_jwt_secret {
            return Ok(prove_tokens(db, &tokens).await?);
        }
        let names: Vec<_> = tokens.key_names().collect();
        let txn = db.begin().await.during("begin").map_err(failed)?;
        key_canary::lock(&txn).await.map_err(failed)?;
        let new = Canary { key_name: names[0].to_owned(), canary: Vec::new() };
        key_canary::insert(&txn, TOKENS, &new).await.map_err(failed)?;
        key_canary::delete_others(&txn, TOKENS, &names).await.map_err(failed)?;
        txn.commit().await.during("commit key canary").map_err(failed)
    }
}

impl Rotation<'_> {
    /// Answers whether no previous key is needed any more.
    async fn run(&mut self) -> Result<bool, Failure> {
        for _ in 0..ROUNDS {
            for kind in Kind::ALL {
                self.reseal(kind).await.map_err(failed)?;
            }
            self.sign().await?;
            if !self.left.is_empty() {
                return Ok(false);
            }
            if self.retire().await.map_err(failed)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Seals what is not sealed with the current key.
    async fn reseal(&mut self, kind: Kind) -> yuantus_identity::Result<()> {
        let prefix = self.keys.sealer.prefix();
        let mut place = (String::new(), String::new());
        loop {
            let behind = (place.0.as_str(), place.1.as_str());
            let page = kind.page(&self.db, &prefix, behind, BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            place = (last.tenant_id.clone(), last.org_id.clone());
            let txn = self.db.begin().await.during("begin")?;
            let mut sealed = 0;
            for value in &page {
                let new = self.sealed_anew(kind, value);
                match new {
                    Ok(new) => sealed += u64::from(kind.replace(&txn, value, new).await?),
                    Err(error) => {
                        let (tenant, org) = (&value.tenant_id, &value.org_id);
                        let what = format!("the {} of {tenant}/{org}", kind.as_str());
                        self.left.insert(what, chain(&error));
                    }
                }
            }
            crashpoint!("rotate_key.before_commit");
            txn.commit().await.during("commit sealed values")?;
            crashpoint!("rotate_key.resealed");
            *self.done.sealed.entry(kind.as_str()).or_default() += sealed;
        }
    }

    fn sealed_anew(
        &self,
        kind: Kind,
        value: &yuantus_identity::query::sealed::Sealed,
    ) -> yuantus_auth::Result<Vec<u8>> {
        let sealer = &self.keys.sealer;
        let opened = open_sealed(sealer, kind, value)?;
        let unknown = |_| yuantus_auth::Error::Open { aad: kind.as_str().to_owned() };
        let key = OrgKey::parse(&value.tenant_id, &value.org_id).map_err(unknown)?;
        let aad = sealed_for(kind, &key, value.version.unsigned_abs());
        sealer.seal(opened.expose_secret().as_bytes(), &aad)
    }

    /// Signs every audit trail with the current key.
    async fn sign(&mut self) -> Result<(), Failure> {
        let failed = |error| Failure::local("sign the audit trail with the new key", error);
        for tenant in audit_chain::tenants(&self.db).await.map_err(self::failed)? {
            let (db, signer, store) = (&self.db, &self.keys.signer, &self.store);
            let signing = Signing { db, signer, store, interval: self.interval };
            match yuantus_audit::renew(signing, &tenant).await {
                Ok(Some(_)) => self.done.signed += 1,
                Ok(None) => {}
                Err(error @ yuantus_audit::Error::Broken { .. }) => {
                    if !self.broken.contains(&tenant) {
                        note(&chain(&error));
                        self.broken.push(tenant);
                    }
                }
                Err(error) => return Err(failed(error)),
            }
            crashpoint!("rotate_key.signed");
        }
        Ok(())
    }

    /// Puts previous keys out of use, unless something was made with one since.
    async fn retire(&mut self) -> yuantus_identity::Result<bool> {
        let prefix = self.keys.sealer.prefix();
        let ours = self.keys.sealer.key_name();
        let txn = self.db.begin().await.during("begin")?;
        key_canary::lock(&txn).await?;
        for kind in Kind::ALL {
            if !kind.page(&txn, &prefix, ("", ""), 1).await?.is_empty() {
                return Ok(false);
            }
        }
        if !audit_chain::signed_otherwise(&txn, ours, &self.broken).await?.is_empty() {
            return Ok(false);
        }
        let retired = key_canary::delete_others(&txn, SECRETS, &[ours]).await?;
        crashpoint!("rotate_key.before_retire");
        txn.commit().await.during("commit key canaries")?;
        crashpoint!("rotate_key.retired");
        self.done.retired += retired;
        Ok(true)
    }

    /// Says what is left.
    fn report(&self, whole: bool) -> Result<(), Failure> {
        for (what, why) in &self.left {
            note(&format!("left: {what}: {why}"));
        }
        if !self.left.is_empty() {
            let message = format!(
                "{} of the sealed values cannot be opened; previous keys stay in use",
                self.left.len()
            );
            return Err(Failure::local("rotate the key", message));
        }
        if !whole {
            let message = "processes go on to use a previous key; restart them with the new one, \
                           and run this again";
            return Err(Failure::local("rotate the key", message));
        }
        if !self.broken.is_empty() {
            let message = format!(
                "everything is sealed with the new key, but {} audit trails are broken and were \
                 not signed with it: keep the previous key to prove what it signed of them ({})",
                self.broken.len(),
                self.broken.join(", ")
            );
            return Err(Failure::local("rotate the key", message));
        }
        Ok(())
    }
}

fn failed(error: yuantus_identity::Error) -> Failure {
    Failure::local("rotate the key", error)
}

impl Show for Rotated {
    const COLUMNS: &'static [&'static str] =
        &["KEY", "DATABASE PASSWORDS", "BACKUP KEYS", "AUDIT TRAILS", "RETIRED KEYS"];

    fn cells(&self) -> Vec<String> {
        let sealed = |kind: Kind| self.sealed.get(kind.as_str()).copied().unwrap_or(0).to_string();
        vec![
            self.key.clone(),
            sealed(Kind::DatabasePassword),
            sealed(Kind::BackupKey),
            self.signed.to_string(),
            self.retired.to_string(),
        ]
    }

    fn name(&self) -> String {
        self.key.clone()
    }
}
