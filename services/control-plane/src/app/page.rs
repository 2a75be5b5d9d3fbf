//! Pages of lists and the tokens that name the next one.

use std::str::FromStr;

use yuantus_domain::{Error, PageSize, Result};

/// One page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Names the next page; empty on the last.
    pub next: String,
}

impl<T> Page<T> {
    /// Makes a page of rows that were read with [`limit`]: one too many means
    /// that there is a next page, named by the cursor of the last on this one.
    pub(super) fn of(mut rows: Vec<T>, size: PageSize, cursor: impl Fn(&T) -> String) -> Self {
        let more = rows.len() > size.get();
        rows.truncate(size.get());
        let next = match rows.last() {
            Some(last) if more => hex::encode(cursor(last)),
            _ => String::new(),
        };
        Self { items: rows, next }
    }

    /// The same page of other things.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

/// How many rows to read for a page.
pub(super) fn limit(size: PageSize) -> usize {
    size.get() + 1
}

/// The cursor in a page token; none on the first page.
pub(super) fn cursor<T: FromStr>(token: &str) -> Result<Option<T>> {
    if token.is_empty() {
        return Ok(None);
    }
    let decoded = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.and_then(|text| text.parse().ok()).map(Some).ok_or_else(refused)
}

/// What is said of a token that no list gave.
pub(super) fn refused() -> Error {
    Error::invalid("page_token", "must be a next_page_token of this list")
}
