//! A dump on its way to whoever reads it, compared with its manifest as it passes.
//!
//! Invariant: it ends only as the dump that was stored. Where size or SHA-256 differ, the reader
//! gets an error instead of an end; and since a reader need not read to the end, [`CheckedDump::prove`]
//! is to be asked before what was read is used for anything.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::{DumpReader, Error, Manifest, Repository, Result};

const OPERATION: &str = "reading a dump";

/// What is read at once of what nobody else has read.
const BUFFER: usize = 256 * 1024;

/// A dump being read and compared.
#[derive(Debug)]
pub struct CheckedDump {
    dump: DumpReader,
    snapshot_id: String,
    expected: (u64, String),
    bytes: u64,
    hash: Sha256,
    ended: bool,
}

impl Repository {
    /// Opens the dump that `manifest` describes. Returns once it is found.
    pub async fn open_checked(&self, manifest: &Manifest) -> Result<CheckedDump> {
        let dump = self.open_dump(&manifest.snapshot_id, &manifest.dump_path).await?;
        Ok(CheckedDump {
            dump,
            snapshot_id: manifest.snapshot_id.clone(),
            expected: (manifest.dump_bytes, manifest.dump_sha256.clone()),
            bytes: 0,
            hash: Sha256::new(),
            ended: false,
        })
    }
}

impl CheckedDump {
    /// Reads what is left and says whether all of it, from its beginning on, is the dump of the
    /// manifest.
    pub async fn prove(mut self) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        while !self.ended {
            let read = self.read(&mut buffer).await;
            read.map_err(|error| {
                error.downcast().unwrap_or(Error::Panicked { operation: OPERATION })
            })?;
        }
        Ok(())
    }

    fn compare(&self) -> Result<()> {
        let mismatch = |what, found: String, expected: String| Error::Mismatch {
            snapshot_id: self.snapshot_id.clone(),
            what,
            found,
            expected,
        };
        let (bytes, sha256) = &self.expected;
        if self.bytes != *bytes {
            return Err(mismatch("size", self.bytes.to_string(), bytes.to_string()));
        }
        let found = hex::encode(self.hash.clone().finalize());
        if found != *sha256 {
            return Err(mismatch("SHA-256", found, sha256.clone()));
        }
        Ok(())
    }
}

impl AsyncRead for CheckedDump {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = target.filled().len();
        ready!(Pin::new(&mut self.dump).poll_read(cx, target))?;
        let read = &target.filled()[before..];
        if read.is_empty() && target.remaining() > 0 && !self.ended {
            self.compare().map_err(io::Error::other)?;
            self.ended = true;
        }
        self.hash.update(read);
        self.bytes += read.len() as u64;
        Poll::Ready(Ok(()))
    }
}
