//! Writing down the progress of work that reports it from wherever it is.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::watch,
};
use yuantus_operations::Run;

/// Reports how far the work is; the newest report counts.
pub(crate) struct Reporter(watch::Sender<(u64, u64)>);

impl Reporter {
    pub(crate) fn report(&self, done: u64, total: u64) {
        self.0.send_replace((done, total));
    }
}

/// Does `work`, writing down what it reports in `unit`.
pub(crate) async fn with_progress<T, F: Future<Output = T>>(
    run: &Run,
    unit: &'static str,
    work: impl FnOnce(Reporter) -> F,
) -> T {
    let (reporter, mut reports) = watch::channel((0, 0));
    let write = async {
        while reports.changed().await.is_ok() {
            let (done, total) = *reports.borrow_and_update();
            run.progress(done, total, unit).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = work(Reporter(reporter)) => done,
        () = write => unreachable!("writing never ends"),
    }
}

/// Reports how many bytes were read.
pub(crate) struct Counted<R, F> {
    reader: R,
    bytes: u64,
    report: F,
}

impl<R, F: FnMut(u64)> Counted<R, F> {
    pub(crate) fn new(reader: R, report: F) -> Self {
        Self { reader, bytes: 0, report }
    }
}

impl<R: AsyncRead + Unpin, F: FnMut(u64) + Unpin> AsyncRead for Counted<R, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = target.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(cx, target))?;
        self.bytes += (target.filled().len() - before) as u64;
        let bytes = self.bytes;
        (self.report)(bytes);
        Poll::Ready(Ok(()))
    }
}
