//! Listing what keys begin with, up to the next slash.

use super::ObjectStore;
use crate::{Result, error::from_sdk};

impl ObjectStore {
    /// What keys under `prefix` begin with, up to and with the next `/` after
    /// it, in order: as folders would be. Objects right under it are left out.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let mut folders = Vec::new();
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let mut pages = request.delimiter("/").into_paginator().send();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| from_sdk("ListObjectsV2", self.subject(prefix), error))?;
            let found = page.common_prefixes.unwrap_or_default().into_iter();
            folders.extend(found.filter_map(|folder| folder.prefix));
        }
        Ok(folders)
    }
}
