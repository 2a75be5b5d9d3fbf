//! The last files of a backup, written in restic's format by hand.
//!
//! `rustic_core` offers no way to save a tree of one's own, and the one it makes of a dump has the
//! dump's segments instead of the dump. So that one is read back, and the one that counts is saved
//! here: the manifest in a data pack, the tree in a tree pack, their index, and the snapshot.

use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce, aead::AeadInPlace};
use bytes::Bytes;
use rustic_core::{
    Id,
    repofile::{BlobType, MasterKey},
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A file to be written: where below the prefix, and what.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) id: Id,
    pub(crate) content: Bytes,
}

/// Encrypts as restic does: nonce, AES-256-CTR, Poly1305-AES tag.
pub(crate) struct Seal(Aes256CtrPoly1305Aes);

/// The index file's JSON.
#[derive(Serialize)]
struct Index {
    packs: Vec<Pack>,
}

/// One pack with one blob, as an index names it.
#[derive(Serialize)]
pub(crate) struct Pack {
    id: Id,
    blobs: [Blob; 1],
}

#[derive(Serialize)]
struct Blob {
    id: Id,
    #[serde(rename = "type")]
    tpe: BlobType,
    offset: u32,
    length: u32,
}

impl Seal {
    /// The key's parts have the right lengths: [`crate::RepositoryKey`] sees to it.
    pub(crate) fn new(master: &MasterKey) -> Self {
        let parts = [&master.encrypt, &master.mac.k, &master.mac.r];
        let bytes = parts.into_iter().flatten().copied();
        Self(Aes256CtrPoly1305Aes::new(&Key::from_iter(bytes)))
    }

    /// A pack that holds one blob.
    pub(crate) fn pack(&self, tpe: BlobType, blob: &[u8]) -> Result<(Pack, File)> {
        let blob_id = hash(blob);
        let mut content = self.encrypt(blob)?;
        let length = u32::try_from(content.len()).map_err(|_| too_large())?;
        let mut header = vec![u8::from(tpe == BlobType::Tree)];
        header.extend_from_slice(&length.to_le_bytes());
        header.extend_from_slice(&bytes_of(blob_id));
        let header = self.encrypt(&header)?;
        let header_length = u32::try_from(header.len()).map_err(|_| too_large())?;
        content.extend_from_slice(&header);
        content.extend_from_slice(&header_length.to_le_bytes());
        let id = hash(&content);
        let hex = id.to_hex();
        let path = format!("data/{}/{}", &hex.as_str()[..2], hex.as_str());
        let pack = Pack { id, blobs: [Blob { id: blob_id, tpe, offset: 0, length }] };
        Ok((pack, File { path, id, content: content.into() }))
    }

    /// The index that names these packs.
    pub(crate) fn index(&self, packs: Vec<Pack>) -> Result<File> {
        self.document("index", &Index { packs })
    }

    /// An encrypted JSON file, named by its hash, in `dir`.
    pub(crate) fn document(&self, dir: &'static str, document: &impl Serialize) -> Result<File> {
        let json = serde_json::to_vec(document)
            .map_err(|source| Error::Document { document: dir, source })?;
        let content = self.encrypt(&json)?;
        let id = hash(&content);
        Ok(File { path: format!("{dir}/{}", id.to_hex().as_str()), id, content: content.into() })
    }

    fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce = Nonce::from_iter(bytes_of(Id::random()).into_iter().take(16));
        let mut sealed = Vec::with_capacity(plain.len() + 32);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = self
            .0
            .encrypt_in_place_detached(&nonce, &[], &mut sealed[16..])
            .map_err(|_| too_large())?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }
}

/// restic's id of a file or blob.
pub(crate) fn hash(content: &[u8]) -> Id {
    let hex = hex::encode(Sha256::digest(content));
    // 64 hex digits always parse.
    hex.parse().unwrap_or_default()
}

fn bytes_of(id: Id) -> Vec<u8> {
    // An id is always 64 hex digits.
    hex::decode(id.to_hex().as_str()).unwrap_or_default()
}

fn too_large() -> Error {
    Error::TooLarge
}
