//! Page sizes of lists.

use crate::{Error, Result};

/// How many items a page holds: 1 to 1000, 50 where the client says 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u32);

impl PageSize {
    /// Reads `page_size` of a request.
    pub fn parse(size: i32) -> Result<Self> {
        match size {
            0 => Ok(Self(50)),
            1..=1000 => Ok(Self(size.unsigned_abs())),
            _ => Err(Error::invalid("page_size", "must be 1 to 1000")),
        }
    }

    /// Reads `page_size` of a request for what is wanted whole, as far as one
    /// page goes, where nobody says otherwise.
    pub fn parse_or_all(size: i32) -> Result<Self> {
        Self::parse(if size == 0 { 1000 } else { size })
    }

    /// The size.
    pub fn get(self) -> usize {
        self.0 as usize
    }
}
