//! Fields of spans and events, written as JSON once: when they are recorded.

use std::{error::Error, fmt, fmt::Write, ops::Range};

use serde::Serialize;
use tracing::field::{Field, Visit};

/// Room for the fields of a request, so that it does not have to grow.
const TEXT: usize = 384;
const PLACES: usize = 12;

/// Fields as `"name":value`; later ones replace earlier ones of the same name.
pub struct Fields {
    text: Vec<u8>,
    /// Where in the text each field stands.
    places: Vec<(&'static str, Range<usize>)>,
}

impl Default for Fields {
    fn default() -> Self {
        Self { text: Vec::with_capacity(TEXT), places: Vec::with_capacity(PLACES) }
    }
}

impl Fields {
    /// The fields, by name, each as it stands in JSON.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.places.iter().map(|(name, place)| (*name, &self.text[place.clone()]))
    }

    /// Forgets them, but not the room they took.
    pub fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
    }

    fn set(&mut self, field: &Field, value: impl Serialize) {
        let begin = self.text.len();
        push(&mut self.text, field.name());
        self.text.push(b':');
        push(&mut self.text, value);
        let place = begin..self.text.len();
        match self.places.iter_mut().find(|(known, _)| *known == field.name()) {
            Some((_, known)) => *known = place,
            None => self.places.push((field.name(), place)),
        }
    }
}

/// Appends a value as JSON.
pub fn push(text: &mut Vec<u8>, value: impl Serialize) {
    // What is written are texts, numbers and truths, which are always JSON.
    serde_json::to_writer(text, &value).ok();
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    /// The error and its causes, outermost first.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut chain = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            // Writing to a string does not fail.
            write!(chain, ": {cause}").ok();
            source = cause.source();
        }
        self.set(field, chain);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}
