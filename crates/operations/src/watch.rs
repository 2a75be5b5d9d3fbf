//! Following operations from the API: NOTIFY says which changed, polling is
//! the fallback.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgListener};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::notify::CHANGED;

/// How long a lost notification may go unnoticed.
const POLL: Duration = Duration::from_secs(2);

/// Hears which operations change.
#[derive(Clone, Debug)]
pub struct Watcher {
    changes: broadcast::Sender<Uuid>,
    closing: CancellationToken,
}

impl Watcher {
    /// Makes a watcher and the future that listens for it until `shutdown`.
    pub fn new(
        pool: PgPool,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let changes = broadcast::Sender::new(1024);
        let watcher = Self { changes: changes.clone(), closing: CancellationToken::new() };
        let listen = async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = listen(pool, changes) => {}
            }
        };
        (watcher, listen)
    }

    /// Begins to follow an operation. To be called before its row is read.
    pub fn follow(&self, id: Uuid) -> Follow {
        Follow { id, changes: self.changes.subscribe(), closing: self.closing.clone() }
    }

    /// Lets those who wait answer what they know now: the process is stopping.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Whether waiting is over for everybody.
    pub fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }
}

/// Follows one operation.
#[derive(Debug)]
pub struct Follow {
    id: Uuid,
    changes: broadcast::Receiver<Uuid>,
    closing: CancellationToken,
}

impl Follow {
    /// Returns when the operation may have changed; at the latest when the
    /// poll interval is over, or at `until`.
    pub async fn changed(&mut self, until: Option<Instant>) {
        let mut end = Instant::now() + POLL;
        if let Some(until) = until {
            end = end.min(until);
        }
        let heard = async {
            loop {
                match self.changes.recv().await {
                    Ok(id) if id != self.id => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            _ = tokio::time::timeout_at(end, heard) => {}
            () = self.closing.cancelled() => {}
        }
    }
}

async fn listen(pool: PgPool, changes: broadcast::Sender<Uuid>) {
    loop {
        if let Err(error) = listen_once(&pool, &changes).await {
            tracing::debug!(%error, "not listening for changes; polling");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn listen_once(
    pool: &PgPool,
    changes: &broadcast::Sender<Uuid>,
) -> std::result::Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANGED).await?;
    loop {
        let notification = listener.recv().await?;
        for id in notification.payload().split(',').filter_map(|id| id.parse().ok()) {
            let _ = changes.send(id);
        }
    }
}
