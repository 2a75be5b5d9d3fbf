//! Hearing that something ended which others may remember: a tenant, org,
//! database, user or membership that was good and is changed or gone.
//! Triggers notify in the transaction of the change (see the migrations
//! `context` and `credentials`); what begins is not told, since nobody remembers
//! that it was not there, but for memberships.
//!
//! Invariant: from [`Change::Listening`] until [`Change::Lost`] nothing is
//! missed. A connection that does not answer within half a second counts as
//! lost, so a network that swallows notifications is noticed within a second.

use std::time::Duration;

use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use yuantus_domain::Change;

/// The channel that the triggers notify on.
const CHANNEL: &str = "yuantus_context";
/// How long the connection may be silent before it is asked whether it lives.
const SILENCE: Duration = Duration::from_millis(400);
/// How long it may take to answer that.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);

/// Listens until `shutdown`, and tells `hear` of every change.
pub async fn run_listen(pool: PgPool, hear: impl Fn(Change), shutdown: CancellationToken) {
    // A connection of its own: it must not wait for those that serve requests.
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with((*pool.connect_options()).clone());
    let listening = async {
        loop {
            let ended = listen(&own, &hear).await;
            hear(Change::Lost);
            if let Err(error) = ended {
                tracing::debug!(%error, "not listening for changes; nothing is remembered");
            }
            sleep(PAUSE).await;
        }
    };
    shutdown.run_until_cancelled(listening).await;
    hear(Change::Lost);
}

async fn listen(own: &PgPool, hear: &impl Fn(Change)) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(own).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    hear(Change::Listening);
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => hear(Change::parse(notification.payload())),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let alive = sqlx::query("SELECT 1").execute(&mut listener);
                match timeout(PATIENCE, alive).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return Err(error),
                    Err(_) => return Err(sqlx::Error::PoolTimedOut),
                }
            }
        }
    }
}
