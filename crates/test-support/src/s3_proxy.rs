//! A reverse proxy in front of an S3 server that plays other servers: one that does not take
//! `DeleteObjects`, one whose keys are wrong, one that flips bits.
//!
//! Requests are passed on as they are, signatures included, unless a [`Rule`] says otherwise.
//! Invariant: a connection that breaks on one side breaks on the other, as without the proxy.

mod forward;
mod rule;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::AbortOnDropHandle,
};
use yuantus_storage::S3Settings;

use forward::Forwarder;
pub use rule::{Action, Rule, Seen};

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub struct S3Proxy {
    addr: SocketAddr,
    upstream: S3Settings,
    state: Arc<State>,
    _stop: DropGuard,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
}

impl S3Proxy {
    /// Starts on a free port of the loopback, in front of the server of `upstream`.
    pub async fn start(upstream: S3Settings) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let addr = listener.local_addr().expect("address");
        let state = Arc::<State>::default();
        let stop = CancellationToken::new();
        let target = upstream.endpoint_url.clone().expect("the server's URL");
        let forwarder = Forwarder::new(&target, state.clone());
        let task = tokio::spawn(run_proxy(listener, forwarder, stop.clone()));
        let task = AbortOnDropHandle::new(task);
        Self { addr, upstream, state, _stop: stop.drop_guard(), _task: task }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What a client needs to come through it.
    pub fn client_settings(&self) -> S3Settings {
        S3Settings { endpoint_url: Some(self.url()), ..self.upstream.clone() }
    }

    /// Adds a rule. The first that matches a request decides.
    pub fn rule(&self, rule: Rule) {
        lock(&self.state.rules).push(rule);
    }

    /// Forgets all rules and all requests.
    pub fn clear(&self) {
        lock(&self.state.rules).clear();
        lock(&self.state.seen).clear();
    }

    /// The requests since the start or since [`S3Proxy::clear`].
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// How many of them match.
    pub fn count(&self, matches: impl Fn(&Seen) -> bool) -> usize {
        lock(&self.state.seen).iter().filter(|seen| matches(seen)).count()
    }
}

impl State {
    /// Notes a request and says what is to happen to it.
    fn decide(&self, seen: Seen) -> Option<(Action, u64)> {
        let action = lock(&self.rules).iter_mut().find_map(|rule| rule.apply(&seen));
        lock(&self.seen).push(seen);
        action
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run_proxy(listener: TcpListener, forwarder: Forwarder, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        // Without it small answers wait for the client's delayed ACK.
        let _ = stream.set_nodelay(true);
        let forwarder = forwarder.clone();
        let answer = hyper::service::service_fn(move |request| forwarder.clone().answer(request));
        connections.spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            // How a connection ends is for whoever is at its ends.
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
