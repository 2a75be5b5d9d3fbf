//! Misbehaviour on demand, so that tests meet the failures a real S3 has.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::Stream;
use http::{HeaderValue, Request, StatusCode, header::CONTENT_TYPE};
use hyper::body::Incoming;
use s3s::{Body, HttpResponse, service::S3Service, stream::ByteStream};
use tokio::sync::watch;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The control plane's own objects are asked for in the background, by whoever leads the loops: a
/// test that harms the next request means another.
const UNHARMED: &str = "/control-plane/";

/// What is to go wrong, and a count of what was asked. Clones are the same handle; by default
/// nothing goes wrong. Where several are set, failing comes before stalling before cutting.
#[derive(Clone, Debug)]
pub struct Faults(Arc<State>);

#[derive(Debug)]
struct State {
    fail: AtomicU64,
    stall: AtomicU64,
    cut: AtomicU64,
    requests: AtomicU64,
    /// Raised by [`Faults::clear`]; stalled requests wait for a change.
    cleared: watch::Sender<()>,
}

impl Default for Faults {
    fn default() -> Self {
        let none = AtomicU64::default;
        let cleared = watch::Sender::new(());
        Self(Arc::new(State {
            fail: none(),
            stall: none(),
            cut: none(),
            requests: none(),
            cleared,
        }))
    }
}

impl Faults {
    /// The next `n` requests are answered 500 `InternalError`, unexecuted.
    pub fn fail_next(&self, n: u64) {
        self.0.fail.store(n, Ordering::SeqCst);
    }

    /// The next `n` requests get no answer until [`Faults::clear`]; then they are executed.
    pub fn stall_next(&self, n: u64) {
        self.0.stall.store(n, Ordering::SeqCst);
    }

    /// The next `n` requests break: an answer with a body stops half way, one without is lost
    /// after the request was executed.
    pub fn cut_next(&self, n: u64) {
        self.0.cut.store(n, Ordering::SeqCst);
    }

    /// Ends all misbehaviour and releases what stalls.
    pub fn clear(&self) {
        for fault in [&self.0.fail, &self.0.stall, &self.0.cut] {
            fault.store(0, Ordering::SeqCst);
        }
        self.0.cleared.send_replace(());
    }

    /// How many requests have arrived, the misanswered ones included.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::SeqCst)
    }

    /// Answers one request, well or badly.
    pub(super) async fn serve(
        self,
        service: S3Service,
        request: Request<Incoming>,
    ) -> Result<HttpResponse, BoxError> {
        if request.uri().path().contains(UNHARMED) {
            return Ok(hyper::service::Service::call(&service, request).await?);
        }
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        if take(&self.0.fail) {
            return Ok(internal_error());
        }
        // Subscribed before the counter is taken, so that no `clear` is missed in between.
        let mut cleared = self.0.cleared.subscribe();
        if take(&self.0.stall) {
            cleared.changed().await?;
        }
        let cut = take(&self.0.cut);
        let answer = hyper::service::Service::call(&service, request).await?;
        if cut { cut_answer(answer) } else { Ok(answer) }
    }
}

/// Takes one from a counter, if there is one left.
fn take(counter: &AtomicU64) -> bool {
    let less = |n: u64| n.checked_sub(1);
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
}

fn internal_error() -> HttpResponse {
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InternalError</Code>\
               <Message>A fault that was asked for.</Message></Error>";
    let mut answer = HttpResponse::new(Body::from(xml.to_owned()));
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

fn cut_answer(answer: HttpResponse) -> Result<HttpResponse, BoxError> {
    let (head, body) = answer.into_parts();
    let announced = head.headers.get(http::header::CONTENT_LENGTH);
    let length = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let length = length.or_else(|| body.remaining_length().exact()).unwrap_or(0);
    if length == 0 {
        return Err("a cut that was asked for".into());
    }
    let cut: s3s::stream::DynByteStream = Box::pin(CutBody { body, left: length / 2 });
    Ok(HttpResponse::from_parts(head, Body::from(cut)))
}

/// A body that breaks off after `left` bytes.
struct CutBody {
    body: Body,
    left: usize,
}

impl Stream for CutBody {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(Some(Err("a cut that was asked for".into())));
        }
        let next = Pin::new(&mut self.body).poll_next(cx);
        next.map_ok(|mut bytes| {
            bytes.truncate(self.left);
            self.left -= bytes.len();
            bytes
        })
    }
}

impl ByteStream for CutBody {}
