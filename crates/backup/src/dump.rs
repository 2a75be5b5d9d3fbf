//! Reading a dump back: streamed, a few packs in memory.

use std::{
    io::{self, Write},
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use rustic_core::{IndexedFullStatus, repofile::Node};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::{mpsc, oneshot},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Error, Repository, Result, session::Session};

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
            let (repository, node) = find(session, &id, &path)?;
            // Nobody listens any more if this fails; the next write notices.
            let _ = opened.send(node.meta.size);
            let last = stream(session, &repository, &node, Sender(&sender));
            let last = last.map_or_else(Piece::Failed, |()| Piece::End);
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
    session.checked(repository.dump(&node, &mut content))?;
    Ok(content)
}

type Indexed = rustic_core::Repository<IndexedFullStatus>;

fn find(session: &Session, snapshot_id: &str, path: &str) -> Result<(Indexed, Node)> {
    let repository = session.open()?;
    let snapshot = session.snapshot(&repository, snapshot_id)?;
    let repository = session.checked(repository.to_indexed())?;
    let path = Path::new(path.trim_start_matches('/'));
    let node = session.checked(repository.node_from_path(snapshot.tree, path))?;
    Ok((repository, node))
}

fn stream(
    session: &Session,
    repository: &Indexed,
    node: &Node,
    mut sender: Sender<'_>,
) -> Result<()> {
    let mut packs = Vec::new();
    for blob in node.content.iter().flatten() {
        packs.push(*session.checked(repository.get_index_entry(blob))?.pack);
    }
    packs.dedup();
    session.backend().plan(packs);
    session.checked(repository.dump(node, &mut sender))
}

/// Writes to the channel. An error means that nobody reads any more.
struct Sender<'a>(&'a mpsc::Sender<Piece>);

impl Write for Sender<'_> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let piece = Piece::Content(Bytes::copy_from_slice(content));
        self.0.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
