//! Which databases may be worked on: those whose marker says so, and those that
//! a crash left unmarked.
//!
//! Invariant: one without a marker is adopted only when the owner role owns it,
//! nobody commented on it, and it is to be a template, a spare or a restore:
//! their names hold a UUID or a bundle's hash, so nobody else makes them.

use yuantus_domain::DatabaseName;

use crate::{DatabaseInfo, Error, Kind, Marker, Result, bootstrap::OWNER_ROLE};

/// Whether a database is one of this plane and kind, marked or left unmarked
/// by a crash.
pub(crate) fn check_ours(found: &DatabaseInfo, plane: &str, kind: Kind) -> Result<()> {
    if found.marker.is_some() {
        expect_plane(&found.name, found.marker.as_ref(), plane)?;
        return expect_kind(&found.name, found.marker.as_ref(), kind);
    }
    let ours_by_name = matches!(kind, Kind::Template | Kind::Spare | Kind::Restore);
    if ours_by_name && !found.commented && found.owner == OWNER_ROLE {
        return Ok(());
    }
    Err(Error::Foreign { database: found.name.to_string() })
}

pub(crate) fn expect_plane(
    name: &DatabaseName,
    marker: Option<&Marker>,
    plane: &str,
) -> Result<()> {
    match marker {
        Some(marker) if marker.plane == plane => Ok(()),
        _ => Err(Error::Foreign { database: name.to_string() }),
    }
}

pub(crate) fn expect_kind(
    name: &DatabaseName,
    marker: Option<&Marker>,
    wanted: Kind,
) -> Result<()> {
    match marker {
        Some(marker) if marker.kind == wanted => Ok(()),
        Some(marker) => Err(Error::WrongKind {
            database: name.to_string(),
            found: marker.kind.as_str(),
            wanted: wanted.as_str(),
        }),
        None => Err(Error::Foreign { database: name.to_string() }),
    }
}
