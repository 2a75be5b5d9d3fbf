//! Reading a dump back: streamed, a few packs in memory.

use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use rustic_core::{
    IndexedFullStatus, TreeId,
    repofile::{BlobType, Node},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::{mpsc, oneshot},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Error, Repository, Result,
    blobs::{Blobs, check_blob},
    session::Session,
};

const OPERATION: &str = "reading a dump";

/// Chunks that may wait for whoever reads; 64 KiB each on average.
const AHEAD: usize = 32;

/// What the thread that reads the repository hands over.
enum Piece {
    Content(Bytes),
    Failed(Error),
    End,
}

/// A dump being read. Its end is the dump's end: anything else is an error, which holds the
/// [`Error`] that caused it. Dropping it ends the work.
#[derive(Debug)]
pub struct DumpReader {
    pieces: mpsc::Receiver<Piece>,
    rest: Bytes,
    size: u64,
    ended: bool,
    _cancel: DropGuard,
}

impl Repository {
    /// Opens the file at `path`, such as `/x.dump`, of a snapshot. Returns once it is found.
    pub async fn open_dump(&self, snapshot_id: &str, path: &str) -> Result<DumpReader> {
        let (id, path) = (snapshot_id.to_owned(), path.to_owned());
        let (sender, pieces) = mpsc::channel(AHEAD);
        let (opened, size) = oneshot::channel();
        let cancel = CancellationToken::new();
        let guard = cancel.clone().drop_guard();
        let task = Session::start(self, OPERATION, cancel, move |session| {
            let (repository, node) = session.twice(|| find(session, &id, &path))?;
            // Nobody listens any more if this fails; the next write notices.
            let _ = opened.send(node.meta.size);
            let last = stream(session, &repository, &node, &sender);
            let last = last.map_or_else(|e| Piece::Failed(session.believed(e)), |()| Piece::End);
            let _ = sender.blocking_send(last);
            Ok(())
        })
        .await;
        match size.await {
            Ok(size) => {
                Ok(DumpReader { pieces, rest: Bytes::new(), size, ended: false, _cancel: guard })
            }
            Err(_) => {
                task.await.map_err(|_| Error::Panicked { operation: OPERATION })??;
                Err(Error::Panicked { operation: OPERATION })
            }
        }
    }
}

impl DumpReader {
    /// The dump's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl AsyncRead for DumpReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.ended {
            match ready!(self.pieces.poll_recv(cx)) {
                Some(Piece::Content(content)) => self.rest = content,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Failed(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => {
                    let error = Error::Panicked { operation: OPERATION };
                    return Poll::Ready(Err(io::Error::other(error)));
                }
            }
        }
        let length = self.rest.len().min(target.remaining());
        target.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

/// Reads a small file whole.
pub(crate) fn read_small(session: &Session, snapshot_id: &str, path: &str) -> Result<Vec<u8>> {
    let (repository, node) = find(session, snapshot_id, path)?;
    let mut content = Vec::new();
    let mut blobs = Blobs::of(session, &repository, &node, |blob| {
        content.extend_from_slice(&blob);
        Ok(())
    })?;
    blobs.dump(session, &repository, &node)?;
    drop(blobs);
    Ok(content)
}

pub(crate) type Indexed = rustic_core::Repository<IndexedFullStatus>;

fn find(session: &Session, snapshot_id: &str, path: &str) -> Result<(Indexed, Node)> {
    let repository = session.open()?;
    let snapshot = session.snapshot(&repository, snapshot_id)?;
    let repository = session.checked(repository.to_indexed())?;
    check_tree(session, &repository, snapshot.tree)?;
    let path = Path::new(path.trim_start_matches('/'));
    let node = session.checked(repository.node_from_path(snapshot.tree, path))?;
    Ok((repository, node))
}

/// Dump and manifest are in the root, so this tree is all that names them.
fn check_tree(session: &Session, repository: &Indexed, tree: TreeId) -> Result<()> {
    let blob = session.checked(repository.get_blob_cached(&tree.into(), BlobType::Tree))?;
    check_blob(*tree, &blob).map_err(|damage| session.damaged(damage))
}

fn stream(
    session: &Session,
    repository: &Indexed,
    node: &Node,
    sender: &mpsc::Sender<Piece>,
) -> Result<()> {
    let mut blobs = Blobs::of(session, repository, node, |blob| {
        // An error means that nobody reads any more.
        let sent = sender.blocking_send(Piece::Content(blob));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    })?;
    session.backend().plan(blobs.packs());
    blobs.dump(session, repository, node)
}
