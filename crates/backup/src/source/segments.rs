//! A dump's segments, one after the other.

use std::{
    io::{self, Cursor, Read},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rustic_core::{
    ReadSourceEntry, RusticResult,
    repofile::{Metadata, Node, NodeType},
};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{Cutter, Outcome, Progress};

/// What is read from the reader at once.
const READ: u64 = 128 * 1024;

/// Reads and cuts. Ends at the reader's end, and where it fails.
pub(crate) struct Segments<R> {
    reader: R,
    cutter: Cutter,
    /// Read and not handed over yet.
    pending: Vec<u8>,
    count: u64,
    bytes: u64,
    hash: Sha256,
    progress: Progress,
    cancel: CancellationToken,
    outcome: Arc<Mutex<Outcome>>,
    ended: bool,
}

impl<R: Read> Segments<R> {
    pub(super) fn new(
        reader: R,
        cutter: Cutter,
        progress: Progress,
        cancel: CancellationToken,
        outcome: Arc<Mutex<Outcome>>,
    ) -> Self {
        Self {
            reader,
            cutter,
            pending: Vec::new(),
            count: 0,
            bytes: 0,
            hash: Sha256::new(),
            progress,
            cancel,
            outcome,
            ended: false,
        }
    }

    /// The next segment; empty at the end.
    fn segment(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(length) = self.cutter.cut(&self.pending) {
                let rest = self.pending.split_off(length);
                return Ok(std::mem::replace(&mut self.pending, rest));
            }
            if self.fill()? == 0 {
                return Ok(std::mem::take(&mut self.pending));
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("nobody waits for the backup any more"));
        }
        let known = self.pending.len();
        let read = (&mut self.reader).take(READ).read_to_end(&mut self.pending)?;
        self.hash.update(&self.pending[known..]);
        self.bytes += read as u64;
        (self.progress)(self.bytes);
        Ok(read)
    }

    fn end(&mut self, outcome: Outcome) {
        self.ended = true;
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    fn entry(&mut self, segment: Vec<u8>) -> ReadSourceEntry<Cursor<Vec<u8>>> {
        // Trees are sorted by name; with leading zeros that is the order of the dump.
        let name = format!("{:020}", self.count);
        self.count += 1;
        let meta = Metadata { size: segment.len() as u64, ..Metadata::default() };
        let node = Node::new_node(name.as_ref(), NodeType::File, meta);
        let path = PathBuf::from("/").join(name);
        ReadSourceEntry { path, node, open: Some(Cursor::new(segment)) }
    }
}

impl<R: Read> Iterator for Segments<R> {
    type Item = RusticResult<ReadSourceEntry<Cursor<Vec<u8>>>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.segment() {
            Ok(segment) if segment.is_empty() => {
                let sha256 = hex::encode(self.hash.clone().finalize());
                self.end(Outcome::Whole { bytes: self.bytes, sha256 });
                None
            }
            Ok(segment) => Some(Ok(self.entry(segment))),
            Err(error) => {
                self.end(Outcome::Failed(error));
                None
            }
        }
    }
}
