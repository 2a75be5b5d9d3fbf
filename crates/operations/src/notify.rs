//! Telling workers and watchers that something changed. A NOTIFY inside a
//! transaction makes all notifying commits take turns. Somebody waits for a new
//! operation to begin and for a created database to be ready, so these two are
//! told of with the commit, a round trip sooner. All others are sent after it,
//! many in one statement. One that is lost costs a poll interval, never an
//! operation.

use std::collections::BTreeSet;

use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Workers listen here: there may be something to claim.
pub const READY: &str = "yuantus_operations_ready";
/// Workers listen here: something is to be cancelled.
pub const CANCEL: &str = "yuantus_operations_cancel";
/// Watchers listen here; the payload lists operation ids.
pub const CHANGED: &str = "yuantus_operations_changed";

/// A NOTIFY writes a commit record of its own. Nothing is lost with it, so
/// nobody waits for the disk.
const NOTIFY: &str = "
WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
SELECT pg_notify($1, $2) FROM relaxed";

/// 200 ids of 36 characters fit the 8000 bytes of a payload.
const IDS_PER_PAYLOAD: usize = 200;

#[derive(Debug)]
enum Event {
    Ready,
    Cancel,
    Changed(Uuid),
}

/// Sends notifications without waiting for them.
#[derive(Clone, Debug)]
pub struct Notifier {
    events: mpsc::UnboundedSender<Event>,
}

impl Notifier {
    /// Makes a notifier and the future that sends for it until `shutdown`.
    pub fn new(
        pool: PgPool,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (events, inbox) = mpsc::unbounded_channel();
        (Self { events }, send_all(pool, inbox, shutdown))
    }

    /// There may be something to claim.
    pub fn ready(&self) {
        let _ = self.events.send(Event::Ready);
    }

    /// Something is to be cancelled.
    pub fn cancel(&self) {
        let _ = self.events.send(Event::Cancel);
    }

    /// The operation changed.
    pub fn changed(&self, id: Uuid) {
        let _ = self.events.send(Event::Changed(id));
    }
}

async fn send_all(
    pool: PgPool,
    mut inbox: mpsc::UnboundedReceiver<Event>,
    shutdown: CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        let received = tokio::select! {
            n = inbox.recv_many(&mut batch, 1000) => n,
            () = shutdown.cancelled() => {
                while let Ok(event) = inbox.try_recv() {
                    batch.push(event);
                }
                send(&pool, &mut batch).await;
                return;
            }
        };
        if received == 0 {
            return;
        }
        send(&pool, &mut batch).await;
    }
}

async fn send(pool: &PgPool, batch: &mut Vec<Event>) {
    let (mut ready, mut cancel) = (false, false);
    let mut changed = BTreeSet::new();
    for event in batch.drain(..) {
        match event {
            Event::Ready => ready = true,
            Event::Cancel => cancel = true,
            Event::Changed(id) => {
                changed.insert(id);
            }
        }
    }
    let ids: Vec<String> = changed.iter().map(Uuid::to_string).collect();
    let mut payloads: Vec<(&str, String)> =
        ids.chunks(IDS_PER_PAYLOAD).map(|ids| (CHANGED, ids.join(","))).collect();
    if ready {
        payloads.push((READY, String::new()));
    }
    if cancel {
        payloads.push((CANCEL, String::new()));
    }
    for (channel, payload) in payloads {
        let sent = sqlx::query(NOTIFY).bind(channel).bind(payload).execute(pool).await;
        if let Err(error) = sent {
            tracing::debug!(%error, channel, "a notification was not sent; polling will notice");
        }
    }
}
