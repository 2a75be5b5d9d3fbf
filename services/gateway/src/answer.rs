//! A response on its way out.
//!
//! Invariant: a response stream is polled within the caller and the span of
//! its request, a panic in it ends the stream and not the connection's task,
//! and every request is logged once: when its body has been sent or given up.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Code;
use tracing::{debug, error, info};
use yuantus_auth::{Caller, caller::CALLER};
use yuantus_telemetry::ACCESS;

use crate::{
    metrics::{self, Going},
    observer::{Answered, Observer, grpc_message, wrong},
    request::RequestFacts,
    status_code,
};

/// What a request is called that is for nothing we have.
const NOTHING: &str = "none";

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const UNAVAILABLE: HeaderValue = HeaderValue::from_static("14");

/// A body that knows whose it is.
pub struct Answer {
    body: Body,
    facts: RequestFacts,
    caller: Option<Arc<Caller>>,
    /// Of a stream: that the process is to stop.
    stopping: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    status: u16,
    grpc_status: Option<String>,
    /// An error held back for one turn, so that what came before it is sent.
    failure: Option<axum::Error>,
    ended: bool,
    quiet: bool,
    /// What was wrong, for who observes.
    error: String,
    observer: Option<Arc<dyn Observer>>,
    _going: Going,
}

/// What an answer is about.
pub struct About {
    /// The request.
    pub facts: RequestFacts,
    /// Its caller, once admitted.
    pub caller: Option<Arc<Caller>>,
    /// Whether it is a probe, which is not worth a line.
    pub quiet: bool,
    /// Who is told of it in the end.
    pub observer: Option<Arc<dyn Observer>>,
    /// Counts it as being answered.
    pub going: Going,
}

impl Answer {
    /// Wraps a response. When `stopping` is cancelled, a stream of it ends.
    pub fn wrap(
        response: http::Response<Body>,
        about: About,
        stopping: &CancellationToken,
    ) -> http::Response<Body> {
        let status = response.status().as_u16();
        let grpc_status = grpc_status(response.headers());
        let error = match about.observer {
            Some(_) => wrong(&response),
            None => String::new(),
        };
        response.map(|body| {
            let streams = body.size_hint().exact().is_none();
            Body::new(Self {
                body,
                facts: about.facts,
                caller: about.caller,
                stopping: streams.then(|| Box::pin(stopping.clone().cancelled_owned())),
                status,
                grpc_status,
                failure: None,
                ended: false,
                quiet: about.quiet,
                error,
                observer: about.observer,
                _going: about.going,
            })
        })
    }

    fn poll_inner(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let body = &mut self.body;
        // What is there already needs neither its caller nor its span.
        if self.stopping.is_none() {
            return http_body::Body::poll_frame(Pin::new(body), cx);
        }
        let _span = self.facts.span.enter();
        let mut poll = || http_body::Body::poll_frame(Pin::new(&mut *body), cx);
        let polled = catch_unwind(AssertUnwindSafe(|| match &self.caller {
            Some(caller) => CALLER.sync_scope(Arc::clone(caller), poll),
            None => poll(),
        }));
        polled.unwrap_or_else(|_| {
            error!("the stream of an answer panicked");
            Poll::Ready(Some(Err(axum::Error::new("internal error"))))
        })
    }

    /// Takes note of the status that gRPC sends last.
    fn ends_with(&mut self, trailers: &HeaderMap) {
        let Some(status) = grpc_status(trailers) else { return };
        if self.observer.is_some() && status != "0" {
            self.error = grpc_message(trailers);
        }
        self.grpc_status = Some(status);
    }

    /// The HTTP status; of gRPC, what its status is in HTTP.
    fn http_status(&self) -> u16 {
        let code = self.grpc_status.as_ref().and_then(|status| status.parse().ok());
        match code {
            Some(code) if self.facts.grpc => {
                status_code::http_status(tonic::Code::from_i32(code)).as_u16()
            }
            _ => self.status,
        }
    }

    /// How a stream ends when we stop: gRPC is told to try elsewhere, REST is
    /// cut off, since its status has been sent.
    fn stopped(&mut self) -> Option<Result<Frame<Bytes>, axum::Error>> {
        self.ended = true;
        if !self.facts.grpc {
            return Some(Err(axum::Error::new("the server is stopping")));
        }
        self.grpc_status = Some("14".to_owned());
        let message = HeaderValue::from_static("the server is stopping");
        Some(Ok(Frame::trailers(HeaderMap::from_iter([
            (GRPC_STATUS, UNAVAILABLE),
            (HeaderName::from_static("grpc-message"), message),
        ]))))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(failure) = self.failure.take() {
            self.ended = true;
            return Poll::Ready(Some(Err(failure)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = self.poll_inner(cx) else {
            match &mut self.stopping {
                Some(stopping) => ready!(stopping.as_mut().poll(cx)),
                None => return Poll::Pending,
            }
            return Poll::Ready(self.stopped());
        };
        match frame {
            Some(Err(error)) => {
                self.failure = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.ends_with(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.failure.is_none() && self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let span = &self.facts.span;
        let took = self.facts.begun.elapsed();
        let milliseconds = took.as_secs_f64() * 1000.0;
        let (status, grpc_status) = (self.status, self.grpc_status.as_deref());
        let client_ip = &*self.facts.client_ip;
        let what = self.facts.what.get().copied().unwrap_or(NOTHING);
        let grpc_name = grpc_status.and_then(|status| status.parse().ok());
        let grpc_name = grpc_name.map(|code: i32| status_code::name(Code::from_i32(code)));
        let shown = match grpc_name {
            Some(name) => name.to_owned(),
            None if self.facts.grpc => "CANCELLED".to_owned(),
            None => status.to_string(),
        };
        metrics::answered(what, self.facts.grpc, &shown, took);
        if self.quiet {
            debug!(target: ACCESS, parent: span, status, duration_ms = milliseconds, "request");
        } else {
            info!(
                target: ACCESS,
                parent: span,
                status,
                grpc_status,
                client_ip,
                duration_ms = milliseconds,
                "request"
            );
        }
        if let Some(observer) = &self.observer {
            let _span = span.enter();
            observer.answered(Answered {
                method: self.facts.method.as_str(),
                path: &self.facts.path,
                status: self.http_status(),
                duration: self.facts.begun.elapsed(),
                error: &self.error,
                caller: self.caller.as_ref(),
                refused: self.facts.refused.get(),
                request_id: &self.facts.request_id,
                client_ip,
                user_agent: &self.facts.user_agent,
            });
        }
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<String> {
    headers.get(GRPC_STATUS).and_then(|status| status.to_str().ok()).map(str::to_owned)
}
