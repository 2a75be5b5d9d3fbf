//! The files of the org in context.
//!
//! Invariant: a row is there only while its object is whole. The object is
//! written before the row and deleted after it, so a crash leaves at most an
//! object that no list shows; nothing looks for those, since a restored
//! database may have the row again.

use std::time::Duration;

use futures::{Stream, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use yuantus_auth::caller;
use yuantus_domain::{Error, FileName, OrgKey, PageSize, Result, file_name, file_prefix};
use yuantus_operations::step::chain;
use yuantus_storage::{ObjectHeaders, Upload};
use yuantus_tenant_data::{File, NewFile};

use super::{App, Page, audit, data::Before, org_name, page};

/// What an upload says about the file before its bytes.
#[derive(Clone, Debug)]
pub struct Announced {
    /// Its name, as the client has it.
    pub filename: String,
    /// What it is, as the client says.
    pub content_type: String,
}

/// URLs by which anybody can read a file.
pub struct DownloadUrls {
    /// For GET.
    pub get: String,
    /// For HEAD.
    pub head: String,
    /// How long they are good for.
    pub valid: Duration,
}

impl App {
    /// Takes a file: its bytes to S3 as they come, then its row. No connection
    /// to the org's database is held while they come.
    pub async fn upload_file(
        &self,
        announced: Announced,
        bytes: impl Stream<Item = Result<impl AsRef<[u8]> + Send>> + Send,
    ) -> Result<File> {
        let key = caller::org_key()?;
        self.data_session(&key).await?.expect_files().await?;
        let id = Uuid::now_v7();
        let name = FileName::sanitise(&announced.filename);
        let content_type = file_name::content_type(&announced.content_type);
        let headers = ObjectHeaders {
            content_type: content_type.clone(),
            content_disposition: name.attachment(),
        };
        let object_key = file_prefix::of_file(&key, id);
        let mut upload = self.store.upload(&object_key, headers);
        let sent = match send(&mut upload, bytes).await {
            Ok(sent) => sent,
            Err(error) => {
                abort(upload).await;
                return Err(error);
            }
        };
        upload.finish().await.map_err(not_taken)?;
        let new = NewFile {
            id,
            filename: name.as_str().to_owned(),
            size: i64::try_from(sent.size).map_err(Error::internal)?,
            content_type,
            checksum: hex::encode(sent.hash.finalize()),
            object_key,
            created_by: caller::principal()?.display_name(),
        };
        self.record_file(&key, new).await
    }

    /// Records a file whose object is whole. Where that is known to have
    /// failed, the object goes again; where a commit's answer was lost it
    /// stays, since the row may be there.
    async fn record_file(&self, key: &OrgKey, new: NewFile) -> Result<File> {
        let recorded = async {
            let mut session = self.data_session(key).await?;
            session.begin().await?;
            let changed = async {
                let file = session.insert_file(&new).await?;
                let details = json!({ "filename": file.filename, "size": file.size,
                    "checksum": file.checksum });
                self.audit_file(key, "file.create", file.id, details).await?;
                Ok::<_, Error>(file)
            };
            let changed = changed.await;
            Ok::<_, Error>((session, changed))
        };
        match recorded.await {
            Ok((session, Ok(file))) => session.finish(Ok(file)).await,
            Ok((session, refused)) => {
                let refused = session.finish(refused).await;
                self.delete_object(&new.object_key).await;
                refused
            }
            Err(error) => {
                self.delete_object(&new.object_key).await;
                Err(error)
            }
        }
    }

    /// Reads what is known of one file.
    pub async fn get_file(&self, id: Uuid) -> Result<File> {
        let mut session = self.data_session(&caller::org_key()?).await?;
        session.file(id).await?.ok_or_else(|| Error::not_found("file", id))
    }

    /// Reads a page of files, newest first.
    pub async fn list_files(&self, size: PageSize, token: &str) -> Result<Page<File>> {
        let before: Option<Before> = page::cursor(token)?;
        let mut session = self.data_session(&caller::org_key()?).await?;
        let rows = session.files(before.map(Before::pair), page::limit(size)).await?;
        Ok(Page::of(rows, size, |file| {
            Before { created_at: file.created_at, id: file.id }.to_string()
        }))
    }

    /// Forgets a file and deletes its bytes.
    pub async fn delete_file(&self, id: Uuid) -> Result<()> {
        let key = caller::org_key()?;
        let mut session = self.data_session(&key).await?;
        session.begin().await?;
        let changed = async {
            let deleted = session.delete_file(id).await?;
            let file = deleted.ok_or_else(|| Error::not_found("file", id))?;
            let details = json!({ "filename": file.filename, "checksum": file.checksum });
            self.audit_file(&key, "file.delete", id, details).await?;
            Ok(file)
        };
        let changed: Result<File> = changed.await;
        let file = session.finish(changed).await?;
        // The row of a restored database may name another org's object.
        if file.object_key == file_prefix::of_file(&key, id) {
            self.delete_object(&file.object_key).await;
        }
        Ok(())
    }

    /// Makes URLs by which anybody can read a file. The row is the org's to
    /// write: it is believed about nothing but the org's own objects.
    pub async fn download_urls(&self, id: Uuid) -> Result<DownloadUrls> {
        let file = self.get_file(id).await?;
        if file.object_key != file_prefix::of_file(&caller::org_key()?, id) {
            let message = format!("the bytes of file `{id}` are not among this org's");
            return Err(Error::precondition("FILE_MISSING", message));
        }
        let (key, signer) = (&file.object_key, &self.presigner);
        Ok(DownloadUrls {
            valid: signer.valid(),
            get: signer.get(key).await.map_err(Error::internal)?,
            head: signer.head(key).await.map_err(Error::internal)?,
        })
    }

    /// Deletes an object that no row names. Failing leaves it behind, unlisted.
    async fn delete_object(&self, key: &str) {
        if let Err(error) = self.store.delete(key).await {
            tracing::warn!(key, error = chain(&error), "an object of no file is left behind");
        }
    }

    async fn audit_file(
        &self,
        key: &OrgKey,
        action: &'static str,
        id: Uuid,
        details: Value,
    ) -> Result<()> {
        let (tenant, org) = (key.tenant.as_str(), key.org.as_str());
        let target = format!("{}/files/{id}", org_name(key));
        audit::record(&self.db, action, tenant, org, target, details).await
    }
}

/// What went to S3.
struct Sent {
    size: u64,
    hash: Sha256,
}

async fn send(
    upload: &mut Upload,
    bytes: impl Stream<Item = Result<impl AsRef<[u8]> + Send>> + Send,
) -> Result<Sent> {
    let mut bytes = std::pin::pin!(bytes);
    let mut sent = Sent { size: 0, hash: Sha256::new() };
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk?;
        let chunk = chunk.as_ref();
        sent.size += chunk.len() as u64;
        sent.hash.update(chunk);
        upload.write(chunk).await.map_err(not_taken)?;
    }
    Ok(sent)
}

async fn abort(upload: Upload) {
    if let Err(error) = upload.abort().await {
        tracing::warn!(error = chain(&error), "parts of an upload are left behind");
    }
}

fn not_taken(error: yuantus_storage::Error) -> Error {
    storage("a file was not taken", error)
}

/// What a client hears of S3's failure, and the log of what came of it. What S3 refuses, such as a
/// key of ours, is no less of an outage to whoever sends a file.
pub(super) fn storage(came: &str, error: yuantus_storage::Error) -> Error {
    if error.answered().is_none() && !error.is_transient() {
        return Error::internal(error);
    }
    tracing::warn!(error = chain(&error), "{came}: S3 cannot be used now");
    let message = "the storage of files cannot be used now".to_owned();
    let retry_after = Duration::from_secs(2);
    Error::Unavailable { reason: "STORAGE_UNAVAILABLE", message, retry_after }
}
