//! `yuantus backup`.

use clap::{Args, Subcommand};
use yuantus_domain::OrgKey;
use yuantus_proto::v1::{
    Backup, BackupKey, CreateBackupRequest, GetBackupKeyRequest, GetBackupRequest,
    ListBackupsRequest, RestoreBackupRequest, VerifyBackupRequest, backup::State,
};

use crate::{
    cli::{Session, arguments::org_key, org, time::time},
    failure::Failure,
    output::Show,
    paging::Paging,
    wait::Waiting,
};

/// What can be done with backups.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Back up an org's database
    Create {
        /// The org
        #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
        org: OrgKey,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Show an org's backups, newest first
    List {
        /// The org
        #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
        org: OrgKey,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one backup
    Get(Which),
    /// Read a backup whole and compare it with its manifest
    Verify {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Restore a backup into a new database, verify it and swap it in
    Restore {
        #[command(flatten)]
        which: Which,
        /// Restore into this org instead, which is made if it is not there
        #[arg(long, value_name = "TENANT/ORG", value_parser = org_key)]
        to: Option<OrgKey>,
        /// With --to: replace the database of an org that is there
        #[arg(long, requires = "to")]
        replace: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Show what the stock `restic` needs to read a backup
    Key(Which),
}

/// Names a backup.
#[derive(Args, Debug)]
pub(crate) struct Which {
    /// The org it is of
    #[arg(value_name = "TENANT/ORG", value_parser = org_key)]
    org: OrgKey,
    /// The backup's id, or `latest` for the newest complete one
    backup: String,
}

impl Which {
    fn tenant(&self) -> String {
        self.org.tenant.to_string()
    }

    fn org(&self) -> String {
        self.org.org.to_string()
    }

    /// The backup's id, `latest` looked up.
    async fn id(&self, session: &Session) -> Result<String, Failure> {
        if self.backup != "latest" {
            return Ok(self.backup.clone());
        }
        let complete = |backup: &Backup| backup.state() == State::Complete;
        let newest = list(session, &self.org, Paging::ALL).await?.into_iter().find(complete);
        newest.map(|backup| backup.id).ok_or_else(|| {
            Failure::local("find the latest backup", format!("{} has no complete backup", self.org))
        })
    }
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut backups = session.client.backups();
        match self {
            Self::Create { org, waiting } => {
                let request = CreateBackupRequest {
                    tenant_id: org.tenant.to_string(),
                    org_id: org.org.to_string(),
                    request_id: session.request_id(),
                };
                let operation = session.answer(backups.create_backup(request).await)?;
                let made = async |operation: &yuantus_proto::v1::Operation| {
                    let id = operation.target.rsplit('/').next().unwrap_or_default();
                    get(session, &org, id.to_owned()).await
                };
                session.finish(operation, waiting, made).await
            }
            Self::List { org, paging } => session.output.list(&list(session, &org, paging).await?),
            Self::Get(which) => {
                let id = which.id(session).await?;
                session.output.one(&get(session, &which.org, id).await?)
            }
            Self::Verify { which, waiting } => verify(session, which, waiting).await,
            Self::Restore { which, to, replace, waiting } => {
                restore(session, which, to, replace, waiting).await
            }
            Self::Key(which) => {
                let request = GetBackupKeyRequest {
                    tenant_id: which.tenant(),
                    org_id: which.org(),
                    backup_id: which.id(session).await?,
                };
                session.output.one(&session.answer(backups.get_backup_key(request).await)?)
            }
        }
    }
}

async fn get(session: &Session, org: &OrgKey, backup_id: String) -> Result<Backup, Failure> {
    let (tenant_id, org_id) = (org.tenant.to_string(), org.org.to_string());
    let request = GetBackupRequest { tenant_id, org_id, backup_id };
    session.answer(session.client.backups().get_backup(request).await)
}

async fn list(session: &Session, org: &OrgKey, paging: Paging) -> Result<Vec<Backup>, Failure> {
    let mut backups = session.client.backups();
    let fetch = async |page_size, page_token| {
        let (tenant_id, org_id) = (org.tenant.to_string(), org.org.to_string());
        let request = ListBackupsRequest { tenant_id, org_id, page_size, page_token };
        let page = backups.list_backups(request).await?.into_inner();
        Ok((page.backups, page.next_page_token))
    };
    paging.collect(fetch).await.map_err(|status| session.client.refused(status))
}

async fn verify(session: &Session, which: Which, waiting: Waiting) -> Result<(), Failure> {
    let id = which.id(session).await?;
    let request = VerifyBackupRequest {
        tenant_id: which.tenant(),
        org_id: which.org(),
        backup_id: id.clone(),
        request_id: session.request_id(),
    };
    let operation = session.answer(session.client.backups().verify_backup(request).await)?;
    session.finish(operation, waiting, async |_| get(session, &which.org, id).await).await
}

async fn restore(
    session: &Session,
    which: Which,
    to: Option<OrgKey>,
    replace: bool,
    waiting: Waiting,
) -> Result<(), Failure> {
    let request = RestoreBackupRequest {
        tenant_id: which.tenant(),
        org_id: which.org(),
        backup_id: which.id(session).await?,
        target_tenant_id: to.as_ref().map(|to| to.tenant.to_string()).unwrap_or_default(),
        target_org_id: to.as_ref().map(|to| to.org.to_string()).unwrap_or_default(),
        replace,
        request_id: session.request_id(),
    };
    let operation = session.answer(session.client.backups().restore_backup(request).await)?;
    let target = to.unwrap_or(which.org);
    session.finish(operation, waiting, async |_| org::get(session, &target).await).await
}

impl Show for Backup {
    const COLUMNS: &'static [&'static str] =
        &["BACKUP", "STATE", "CREATED", "VERIFIED", "REVISION", "SIZE", "STORED"];

    fn cells(&self) -> Vec<String> {
        let manifest = self.manifest.as_ref();
        let bytes = |bytes: i64| indicatif::HumanBytes(bytes.unsigned_abs()).to_string();
        vec![
            self.id.clone(),
            self.state().as_str_name().to_owned(),
            time(self.created_at.as_ref()),
            time(self.verified_at.as_ref()),
            manifest.map(|m| m.revision.to_string()).unwrap_or_default(),
            manifest.map(|m| bytes(m.dump_bytes)).unwrap_or_default(),
            manifest.map(|m| bytes(m.stored_bytes)).unwrap_or_default(),
        ]
    }

    fn name(&self) -> String {
        self.id.clone()
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut details = vec![
            ("ORG", format!("{}/{}", self.tenant_id, self.org_id)),
            ("REASON", self.reason.clone()),
            ("COMPLETED", time(self.completed_at.as_ref())),
        ];
        if let Some(manifest) = &self.manifest {
            let tables = manifest.tables.iter();
            let tables = tables.map(|t| format!("{}.{}: {}", t.schema, t.table, t.rows));
            details.extend([
                ("DATABASE", manifest.database.clone()),
                ("SERVER", format!("PostgreSQL {}", manifest.server_version)),
                ("BUNDLE", manifest.bundle_fingerprint.clone()),
                ("SHA-256", manifest.dump_sha256.clone()),
                ("SNAPSHOT", manifest.snapshot_id.clone()),
                ("ROWS", tables.collect::<Vec<_>>().join("\n")),
            ]);
        }
        details
    }
}

impl Show for BackupKey {
    const COLUMNS: &'static [&'static str] =
        &["RESTIC_REPOSITORY", "RESTIC_PASSWORD", "SNAPSHOT", "DUMP"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.repository.clone(),
            self.password.clone(),
            self.snapshot_id.clone(),
            self.dump_path.clone(),
        ]
    }

    fn name(&self) -> String {
        self.snapshot_id.clone()
    }
}

#[cfg(test)]
mod tests {
    use yuantus_proto::v1::{BackupManifest, TableRows};

    use crate::output::snapshot::formats;

    use super::*;

    fn manifest() -> BackupManifest {
        let table =
            |table: &str, rows| TableRows { schema: "public".into(), table: table.into(), rows };
        BackupManifest {
            database: "yuantus_mt_pg__tenant-1__org-1".into(),
            revision: 3,
            bundle_fingerprint: "ab".repeat(32),
            server_version: "15.18".into(),
            dump_bytes: 5 << 20,
            dump_sha256: "cd".repeat(32),
            stored_bytes: 1 << 20,
            tables: vec![table("customers", 7), table("files", 0)],
            snapshot_id: "ef".repeat(32),
        }
    }

    #[test]
    fn backups_in_every_format() {
        let backup = Backup {
            id: "0197".into(),
            tenant_id: "tenant-1".into(),
            org_id: "org-1".into(),
            state: State::Complete.into(),
            manifest: Some(manifest()),
            created_at: Some(pbjson_types::Timestamp { seconds: 1_760_000_000, nanos: 0 }),
            ..Backup::default()
        };
        insta::assert_snapshot!(formats(&[
            backup,
            Backup { id: "0198".into(), ..Backup::default() }
        ]));
    }

    #[test]
    fn keys_in_every_format() {
        let key = BackupKey {
            repository: "s3:http://h/b/x".into(),
            password: "p".into(),
            snapshot_id: "ef".into(),
            dump_path: "/x.dump".into(),
        };
        insta::assert_snapshot!(formats(&[key]));
    }
}
