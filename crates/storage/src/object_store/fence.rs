//! Whether a writer may still write. S3 cannot refuse a worker that lost its
//! lease, so the client does.

use std::{fmt, sync::Arc};

/// Asked before every put and delete.
#[derive(Clone, Default)]
pub(super) struct Fence(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Fence {
    pub(super) fn new(may_write: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(may_write)))
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.as_ref().is_none_or(|may_write| may_write())
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "fenced" } else { "open" })
    }
}
