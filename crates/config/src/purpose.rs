//! What a process is going to do, which decides what it cannot do without:
//! `db upgrade` needs no S3.

/// What a process is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Work on the identity database alone.
    Identity,
    /// Serve the API.
    Api,
    /// Run operations.
    Worker,
}
