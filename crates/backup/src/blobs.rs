//! A file's blobs on their way out of a repository, compared with their ids.
//!
//! `rustic_core` authenticates what it decrypts, which proves that the holder of the key wrote it,
//! but not that it is what was asked for: somebody who can write to the bucket could put one thing
//! in the place of another. Invariant: no byte leaves before the SHA-256 of its blob was seen to be
//! the blob's id.

use std::{
    collections::VecDeque,
    io::{self, Write},
};

use bytes::Bytes;
use rustic_core::{Id, repofile::Node};

use crate::{Result, dump::Indexed, error::Damage, pack::hash, session::Session};

/// A blob that is still to come.
struct Awaited {
    id: Id,
    pack: Id,
    length: usize,
}

/// Takes a file's bytes in their order and gives its blobs on, each once it is proven.
pub(crate) struct Blobs<F> {
    awaited: VecDeque<Awaited>,
    /// What there is of the next blob.
    blob: Vec<u8>,
    damage: Option<Damage>,
    sink: F,
}

impl<F: FnMut(Bytes) -> io::Result<()>> Blobs<F> {
    /// The blobs of `node`, to be given to `sink`.
    pub(crate) fn of(
        session: &Session,
        repository: &Indexed,
        node: &Node,
        sink: F,
    ) -> Result<Self> {
        let mut awaited = VecDeque::new();
        for id in node.content.iter().flatten() {
            let entry = session.checked(repository.get_index_entry(id))?;
            let length = entry.data_length() as usize;
            awaited.push_back(Awaited { id: **id, pack: *entry.pack, length });
        }
        Ok(Self { awaited, blob: Vec::new(), damage: None, sink })
    }

    /// The packs they are in, in their order.
    pub(crate) fn packs(&self) -> Vec<Id> {
        let mut packs: Vec<Id> = self.awaited.iter().map(|blob| blob.pack).collect();
        packs.dedup();
        packs
    }

    /// Reads them all.
    pub(crate) fn dump(
        &mut self,
        session: &Session,
        repository: &Indexed,
        node: &Node,
    ) -> Result<()> {
        let dumped = repository.dump(node, self);
        if let Some(damage) = self.damage.take() {
            return Err(session.damaged(damage));
        }
        session.checked(dumped)?;
        match self.awaited.front() {
            None => Ok(()),
            Some(next) => {
                let what = "is missing from what was read".to_owned();
                Err(session.damaged(Damage { subject: subject(next.id), what }))
            }
        }
    }

    fn give(&mut self, id: Id) -> io::Result<()> {
        let blob = std::mem::take(&mut self.blob);
        if let Err(damage) = check_blob(id, &blob) {
            self.damage = Some(damage);
            return Err(io::ErrorKind::InvalidData.into());
        }
        (self.sink)(blob.into())
    }
}

impl<F: FnMut(Bytes) -> io::Result<()>> Write for Blobs<F> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let Some(next) = self.awaited.front() else {
            return Err(io::Error::other("there is more than the blobs of the file"));
        };
        let (id, length) = (next.id, next.length);
        let taken = content.len().min(length - self.blob.len());
        self.blob.extend_from_slice(&content[..taken]);
        if self.blob.len() == length {
            self.awaited.pop_front();
            self.give(id)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compares a blob with its id.
pub(crate) fn check_blob(id: Id, blob: &[u8]) -> Result<(), Damage> {
    let found = hash(blob);
    if found == id {
        return Ok(());
    }
    let what = format!("has the SHA-256 {}", found.to_hex().as_str());
    Err(Damage { subject: subject(id), what })
}

fn subject(id: Id) -> String {
    format!("blob {}", id.to_hex().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited(content: &[u8]) -> Awaited {
        Awaited { id: hash(content), pack: Id::default(), length: content.len() }
    }

    /// Blobs that come in pieces of `piece` bytes; answers what was given on and what failed.
    fn write(expected: &[&[u8]], came: &[u8], piece: usize) -> (Vec<Bytes>, Option<Damage>) {
        let mut given = Vec::new();
        let mut blobs = Blobs {
            awaited: expected.iter().map(|content| awaited(content)).collect(),
            blob: Vec::new(),
            damage: None,
            sink: |blob| {
                given.push(blob);
                Ok(())
            },
        };
        let written = came.chunks(piece).try_for_each(|piece| blobs.write_all(piece));
        let damage = blobs.damage.take();
        assert_eq!(written.is_err(), damage.is_some());
        (given, damage)
    }

    #[test]
    fn a_blob_that_is_not_what_its_id_says_does_not_leave() {
        for piece in [1, 4, 7, 100] {
            let (given, damage) = write(&[b"first", b"second"], b"firstsecond", piece);
            assert_eq!((given.len(), damage.is_none()), (2, true));
            let (given, damage) = write(&[b"first", b"second"], b"firstsecone", piece);
            assert_eq!(given, ["first"]);
            assert!(damage.unwrap_or_else(|| panic!("found")).what.starts_with("has the SHA-256"));
        }
    }
}
