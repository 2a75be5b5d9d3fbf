//! What signing, verifying and pruning work with.

use yuantus_auth::Signer;
use yuantus_identity::Database;
use yuantus_storage::ObjectStore;

/// What signing, verifying and pruning work with.
#[derive(Clone, Copy, Debug)]
pub struct Signing<'a> {
    /// The identity database.
    pub db: &'a Database,
    /// Signs checkpoints.
    pub signer: &'a Signer,
    /// Where the newest checkpoints are besides.
    pub store: &'a ObjectStore,
    /// How many seconds pass between two checkpoints of a chain that grows.
    pub interval: i64,
}
