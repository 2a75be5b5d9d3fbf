//! Reading a manifest back.

use super::Repository;
use crate::{Error, Manifest, Result, dump, manifest, session::Session};

impl Repository {
    /// Reads the manifest in a snapshot.
    pub async fn manifest(&self, snapshot_id: &str) -> Result<Manifest> {
        let id = snapshot_id.to_owned();
        Session::run(self, "reading a manifest", move |session| {
            session.twice(|| {
                let json = dump::read_small(session, &id, manifest::FILE_NAME)?;
                let manifest: Manifest = serde_json::from_slice(&json)
                    .map_err(|source| Error::Document { document: manifest::FILE_NAME, source })?;
                Ok(Manifest { snapshot_id: id.clone(), ..manifest })
            })
        })
        .await
    }
}
