//! Where to cut a dump into segments: at places that its content decides, so that after a change
//! the cuts, and with them everything stored, fall into step again.
//!
//! A gear hash: the last 64 bytes, shifted through a table that belongs to the org, since sizes of
//! segments must not tell which known content an org has.

use sha2::{Digest, Sha256};

/// Nothing is cut shorter, and so not looked at, which is where the speed comes from.
const SHORTEST: usize = 64 * 1024;

/// Nothing gets longer, whatever the content: it is in memory.
const LONGEST: usize = 1024 * 1024;

/// A cut is expected after `2^BITS` bytes beyond the shortest.
const BITS: u32 = 17;

/// Bytes that still have a say in the hash.
const WINDOW: usize = 64;

/// Beyond this many bytes, segments get longer with each doubling, so that the list of them, which
/// is in memory, grows only with the logarithm of the dump.
const LARGE: u64 = 4 << 30;

/// Finds cuts, one after the other.
pub(crate) struct Cutter {
    table: [u64; 256],
    hash: u64,
    /// How much of the current segment was looked at.
    seen: usize,
    /// All segments before the current one.
    before: u64,
}

impl Cutter {
    /// `secret` makes the cuts the org's own.
    pub(crate) fn new(secret: &str) -> Self {
        let entry = |byte: usize| {
            let digest = Sha256::digest(format!("{secret} {byte}"));
            digest.iter().take(8).fold(0, |entry, part| entry << 8 | u64::from(*part))
        };
        Self { table: std::array::from_fn(entry), hash: 0, seen: 0, before: 0 }
    }

    /// The length of the segment that `pending` begins with, if its end is in there.
    pub(crate) fn cut(&mut self, pending: &[u8]) -> Option<usize> {
        let end = pending.len().min(LONGEST);
        let start = self.seen.max(SHORTEST - WINDOW);
        let bits = BITS + (self.before / LARGE + 1).ilog2();
        // The upper bits are the ones that all of the window has a say in.
        let mask = !(u64::MAX >> bits);
        let mut found = None;
        for (offset, byte) in pending.get(start..end).unwrap_or_default().iter().enumerate() {
            self.hash = (self.hash << 1).wrapping_add(self.table[usize::from(*byte)]);
            if self.hash & mask == 0 && start + offset >= SHORTEST {
                found = Some(start + offset + 1);
                break;
            }
        }
        self.seen = end;
        let length = found.or_else(|| (end == LONGEST).then_some(LONGEST))?;
        self.before += length as u64;
        (self.hash, self.seen) = (0, 0);
        Some(length)
    }
}
