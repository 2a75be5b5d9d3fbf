//! Refuses what would fill the disk that the orgs' databases, and perhaps the
//! identity database, are on: a full disk stops the server with all of them.

use yuantus_operations::StepError;
use yuantus_postgres::SpaceSettings;

use crate::{Deps, failure};

/// The reason of what is refused.
pub(crate) const INSUFFICIENT_SPACE: &str = "INSUFFICIENT_SPACE";

/// How room on the server's disk is kept.
#[derive(Clone, Debug)]
pub struct Space {
    /// Where the disk is, and how large.
    pub settings: SpaceSettings,
    /// How many bytes are to stay free.
    pub floor: u64,
    /// How many bytes a database takes for each byte of its dump.
    pub per_dump_byte: f64,
}

impl Space {
    /// What a database will take that is loaded from a dump of this size.
    pub(crate) fn of_dump(&self, dump_bytes: u64) -> u64 {
        // Estimates need no more digits than a float has.
        (dump_bytes as f64 * self.per_dump_byte).ceil() as u64
    }
}

/// Refuses `what` where it needs more bytes than there are, less those that are
/// to stay free. Where nobody knows how many there are, it goes on.
pub(crate) async fn require(deps: &Deps, what: &str, needed: u64) -> Result<(), StepError> {
    let free = deps.server.free_space(&deps.space.settings).await.map_err(failure::postgres)?;
    let Some(free) = free else {
        tracing::debug!(what, needed, "free space of the tenant server is not known");
        return Ok(());
    };
    let floor = deps.space.floor;
    if needed.saturating_add(floor) <= free {
        return Ok(());
    }
    let message = format!(
        "{what} takes about {needed} bytes on the tenant server, where {free} bytes are free and \
         {floor} are to stay so"
    );
    Err(StepError::refuse(INSUFFICIENT_SPACE, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_takes_a_multiple_of_its_dump() {
        let settings = SpaceSettings::default();
        let space = Space { settings, floor: 0, per_dump_byte: 2.5 };
        assert_eq!((space.of_dump(0), space.of_dump(3)), (0, 8));
    }
}
