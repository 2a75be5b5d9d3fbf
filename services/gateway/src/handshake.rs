//! A deadline on the first bytes of a connection.
//!
//! The server tells HTTP/2 from HTTP/1.1 by the first 24 bytes and waits for
//! them without a limit of its own. Here a connection that keeps it guessing
//! past the deadline ends.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose protocol must be known in time.
pub struct Handshake<Io> {
    io: Io,
    /// How much of the preface has come; `None` once the protocol is known.
    matched: Option<usize>,
    deadline: Pin<Box<Sleep>>,
}

impl<Io> Handshake<Io> {
    /// Gives the client `limit` from now on.
    pub fn new(io: Io, limit: Duration) -> Self {
        Self { io, matched: Some(0), deadline: Box::pin(sleep(limit)) }
    }

    fn see(&mut self, bytes: &[u8]) {
        let Some(matched) = self.matched else { return };
        let rest = &PREFACE[matched..];
        let undecided = bytes.len() < rest.len() && rest.starts_with(bytes);
        self.matched = undecided.then_some(matched + bytes.len());
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Handshake<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.matched.is_some() && self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = read {
            self.see(&buf.filled()[before..]);
        }
        read
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Handshake<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
