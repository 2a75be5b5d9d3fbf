//! Entries that nobody waits for: requests, refusals, and who looked into
//! another's tenant.
//!
//! Invariants: a request waits for nothing here. What waits to be written is
//! bounded; what finds no room is counted, and the count is written. At the
//! end of the process all that waits is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use yuantus_domain::id::PLATFORM;
use yuantus_identity::{
    Database,
    query::{
        audit_chain,
        audit_log::{self, Entry, Late},
    },
};
use yuantus_operations::step::chain;

use crate::coalesce::Window;

/// How many events may wait for the writer.
const ROOM: usize = 8192;
/// How many entries may wait for the database.
const BACKLOG: usize = 20_000;
/// How many entries one statement writes.
const BATCH: usize = 500;
/// How often what waits is written, and how long what is the same is put together.
const WINDOW: Duration = Duration::from_secs(1);
/// How long the database gets to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last entries.
const LAST: Duration = Duration::from_secs(5);

enum Event {
    Entry(Entry, Instant),
    Coalesced(Entry, String, Instant),
    Flush(oneshot::Sender<()>),
}

/// Takes entries that need not be waited for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trail {
    events: mpsc::Sender<Event>,
    dropped: Arc<AtomicU64>,
}

impl Trail {
    /// Makes a trail and what writes it.
    pub fn new(db: Database) -> (Self, Writer) {
        let (events, inbox) = mpsc::channel(ROOM);
        let trail = Self { events, dropped: Arc::default() };
        let dropped = Arc::clone(&trail.dropped);
        let known = BTreeSet::from([PLATFORM.to_owned()]);
        let writer = Writer {
            db,
            inbox,
            dropped,
            window: Window::default(),
            waiting: Vec::new(),
            known,
            away: false,
        };
        (trail, writer)
    }

    /// Something happened.
    pub fn note(&self, entry: Entry) {
        self.send(Event::Entry(entry, Instant::now()));
    }

    /// Something happened that may come often. The same, of the same tenant,
    /// address and actor, becomes one entry a second, with a count and some of
    /// the subjects.
    pub fn coalesced(&self, entry: Entry, subject: impl Into<String>) {
        self.send(Event::Coalesced(entry, subject.into(), Instant::now()));
    }

    /// Returns once everything before has been written, or could not be.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.events.send(Event::Flush(done)).await.is_ok() {
            // An error means that the writer has ended.
            let _ = timeout(LAST, written).await;
        }
    }

    fn send(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes a [`Trail`].
pub struct Writer {
    db: Database,
    inbox: mpsc::Receiver<Event>,
    dropped: Arc<AtomicU64>,
    window: Window,
    waiting: Vec<(Entry, Instant)>,
    /// Tenants that are on record.
    known: BTreeSet<String>,
    /// Whether the database could not be written to the last time.
    away: bool,
}

impl Writer {
    /// Writes until `stop`, and then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(WINDOW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.inbox.recv() => match event {
                    Some(event) => self.take(event).await,
                    None => break,
                },
                _ = ticks.tick() => self.flush().await,
                () = stop.cancelled() => break,
            }
        }
        self.inbox.close();
        while let Some(event) = self.inbox.recv().await {
            self.take(event).await;
        }
        let left = timeout(LAST, self.flush()).await;
        if left.is_err() || !self.waiting.is_empty() {
            tracing::warn!(rows = self.waiting.len(), "audit rows were not written");
        }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Entry(entry, at) => {
                self.waiting.push((entry, at));
                if self.waiting.len() >= BATCH && !self.away {
                    self.write().await;
                }
            }
            Event::Coalesced(entry, subject, at) => self.window.add(entry, subject, at),
            Event::Flush(done) => {
                self.flush().await;
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }

    async fn flush(&mut self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(rows = dropped, "audit rows were dropped: there was no room for them");
            let entry = Entry {
                tenant: PLATFORM.to_owned(),
                actor: "audit".to_owned(),
                action: "audit.dropped",
                target: "audit".to_owned(),
                details: json!({ "rows": dropped }),
                ..Entry::default()
            };
            self.waiting.push((entry, Instant::now()));
        }
        self.waiting.extend(self.window.end());
        self.write().await;
    }

    async fn write(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        if let Err(Failure::Passing(why) | Failure::Lasting(why)) = self.file().await {
            self.keep(&why, 0);
            return;
        }
        let mut of_tenants: BTreeMap<String, Vec<(Entry, Instant)>> = BTreeMap::new();
        for (entry, at) in std::mem::take(&mut self.waiting) {
            of_tenants.entry(entry.tenant.clone()).or_default().push((entry, at));
        }
        let mut batches: Vec<Vec<(Entry, Instant)>> = Vec::new();
        for entries in of_tenants.into_values() {
            batches.extend(entries.chunks(BATCH).map(<[_]>::to_vec));
        }
        let mut batches = batches.into_iter();
        while let Some(batch) = batches.next() {
            let late =
                |(entry, at): &(Entry, Instant)| Late { entry: entry.clone(), ago: at.elapsed() };
            let written = audit_log::append_late(&self.db, batch.iter().map(late).collect());
            match in_time(written).await {
                Ok(()) => self.away = false,
                Err(Failure::Lasting(why)) => self.keep(&why, batch.len()),
                Err(Failure::Passing(why)) => {
                    self.waiting = batch;
                    self.waiting.extend(batches.flatten());
                    self.keep(&why, 0);
                    return;
                }
            }
        }
    }

    /// Files what was said of a tenant that is not on record under the
    /// platform: nobody makes chains by naming tenants.
    async fn file(&mut self) -> Result<(), Failure> {
        let named = self.waiting.iter().map(|(entry, _)| &entry.tenant);
        let unsure: BTreeSet<String> =
            named.filter(|tenant| !self.known.contains(*tenant)).cloned().collect();
        if unsure.is_empty() {
            return Ok(());
        }
        let known = audit_chain::known(&self.db, unsure.into_iter().collect());
        self.known.extend(in_time(known).await?);
        let mut window = Window::default();
        let mut sure = Vec::new();
        for (mut entry, at) in std::mem::take(&mut self.waiting) {
            if self.known.contains(&entry.tenant) {
                sure.push((entry, at));
                continue;
            }
            let subject = std::mem::replace(&mut entry.tenant, PLATFORM.to_owned());
            if entry.details.is_null() {
                entry.details = json!({});
            }
            entry.details["tenant"] = subject.as_str().into();
            match entry.request {
                Some(_) => sure.push((entry, at)),
                None => window.add(entry, subject, at),
            }
        }
        sure.extend(window.end());
        self.waiting = sure;
        Ok(())
    }

    /// Keeps what could not be written, as far as there is room.
    fn keep(&mut self, why: &str, lost: usize) {
        let over = self.waiting.len().saturating_sub(BACKLOG);
        self.waiting.drain(..over);
        self.dropped.fetch_add((over + lost) as u64, Ordering::Relaxed);
        if !self.away || lost > 0 {
            tracing::warn!(why, rows = self.waiting.len(), lost, "audit rows wait to be written");
        }
        self.away = true;
    }
}

/// Why rows were not written.
enum Failure {
    /// The same rows may be written later.
    Passing(String),
    /// They never will be.
    Lasting(String),
}

/// Gives the database some time: a process that is to stop must not wait for
/// one that is away.
async fn in_time<T>(
    query: impl Future<Output = yuantus_identity::Result<T>>,
) -> Result<T, Failure> {
    match timeout(PATIENCE, query).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) if error.is_transient() => Err(Failure::Passing(chain(&error))),
        Ok(Err(error)) => Err(Failure::Lasting(chain(&error))),
        Err(_) => Err(Failure::Passing("the identity database does not answer".to_owned())),
    }
}
