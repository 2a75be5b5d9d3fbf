//! `--wait`: follows an operation to its end.

use std::{error::Error, time::Duration};

use clap::Args;
use tonic::{Code, Status};
use yuantus_proto::v1::{Operation, WatchOperationRequest, operation::State};

use crate::{client::Client, failure::Failure, output::note, progress::Progress};

/// How often in a row the server may be away before we give up.
const RECONNECTS: u32 = 30;
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Whether to follow what a command starts.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// Wait until it has ended, and show what it made
    #[arg(long)]
    pub(crate) wait: bool,
    /// With --wait: give up waiting after this many seconds; the work goes on
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    pub(crate) timeout: Option<u32>,
}

/// Whether an operation has ended.
pub(crate) fn ended(operation: &Operation) -> bool {
    matches!(operation.state(), State::Succeeded | State::Failed | State::Cancelled)
}

/// Turns an end that is not good into a failure.
pub(crate) fn succeeded(operation: Operation) -> Result<Operation, Failure> {
    match operation.state() {
        State::Failed | State::Cancelled => Err(Failure::Operation(Box::new(operation))),
        _ => Ok(operation),
    }
}

/// Follows an operation to its end, showing progress. A server that goes away
/// for a moment is waited for.
pub(crate) async fn follow(
    client: &Client,
    operation: Operation,
    timeout: Option<u32>,
) -> Result<Operation, Failure> {
    let id = operation.id.clone();
    let mut progress = Progress::new();
    progress.show(&operation);
    let forever = Duration::from_secs(u64::from(u32::MAX));
    let limit = timeout.map_or(forever, |seconds| Duration::from_secs(seconds.into()));
    let mut show = |operation: &Operation| {
        progress.show(operation);
        Ok(())
    };
    let watching = watch(client, operation, &mut show);
    let result = tokio::select! {
        result = tokio::time::timeout(limit, watching) => result,
        _ = tokio::signal::ctrl_c() => {
            note("");
            return Err(Failure::Timeout { operation: id });
        }
    };
    progress.end();
    match result {
        Ok(result) => succeeded(result?),
        Err(_) => Err(Failure::Timeout { operation: id }),
    }
}

/// Calls `seen` at every change of an operation until it has ended.
pub(crate) async fn watch(
    client: &Client,
    mut operation: Operation,
    seen: &mut dyn FnMut(&Operation) -> Result<(), Failure>,
) -> Result<Operation, Failure> {
    let mut lost = 0;
    while !ended(&operation) {
        let request = WatchOperationRequest { operation_id: operation.id.clone() };
        let error = match client.operations().watch_operation(request).await {
            Ok(stream) => {
                let mut stream = stream.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(next)) => {
                            (operation, lost) = (next, 0);
                            seen(&operation)?;
                        }
                        Ok(None) => break None,
                        Err(status) => break Some(status),
                    }
                }
            }
            Err(status) => Some(status),
        };
        if ended(&operation) {
            break;
        }
        lost += 1;
        if let Some(status) = error.filter(|status| lost > RECONNECTS || !away(status)) {
            return Err(client.refused(status));
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
    Ok(operation)
}

/// Whether the server may come back.
fn away(status: &Status) -> bool {
    // A status with a source was made on this side, from a broken connection.
    matches!(status.code(), Code::Unavailable | Code::Cancelled) || status.source().is_some()
}
