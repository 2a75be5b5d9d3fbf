//! The dump on its way into a repository: counted, hashed, cut, and watched.
//!
//! `rustic_core` skips a file whose reader fails, with a warning, and stores the rest. So the
//! source itself keeps what became of it, and only one that was read to its end counts.
//!
//! It is handed over as many small files, its segments, not as one: `rustic_core` then hashes
//! several at once, and where to cut is ours to find (see [`cut`]), at a multiple of the speed of
//! its own rolling hash. [`crate::Repository::put_manifest`] makes them one file again.

mod cut;
mod segments;

use std::{
    io::{self, Cursor, Read},
    sync::{Arc, Mutex, PoisonError},
};

use rustic_core::{ReadSource, RusticResult};
use tokio_util::sync::CancellationToken;

pub(crate) use cut::Cutter;
use segments::Segments;

/// Called with the number of bytes read so far.
pub(crate) type Progress = Box<dyn FnMut(u64) + Send>;

/// What became of a reader.
pub(crate) enum Outcome {
    /// It was not read to its end.
    Unfinished,
    Failed(io::Error),
    Whole {
        bytes: u64,
        sha256: String,
    },
}

/// A dump as the segments of it.
pub(crate) struct DumpSource<R> {
    segments: Mutex<Option<Segments<R>>>,
    outcome: Arc<Mutex<Outcome>>,
}

impl<R: Read + Send + 'static> DumpSource<R> {
    pub(crate) fn new(
        reader: R,
        cutter: Cutter,
        progress: Progress,
        cancel: CancellationToken,
    ) -> Self {
        let outcome = Arc::new(Mutex::new(Outcome::Unfinished));
        let segments = Segments::new(reader, cutter, progress, cancel, outcome.clone());
        Self { segments: Mutex::new(Some(segments)), outcome }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut outcome, Outcome::Unfinished)
    }
}

impl<R: Read + Send + 'static> ReadSource for DumpSource<R> {
    type Open = Cursor<Vec<u8>>;
    type Iter = std::iter::Flatten<std::option::IntoIter<Segments<R>>>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Self::Iter {
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner).take();
        segments.into_iter().flatten()
    }
}
