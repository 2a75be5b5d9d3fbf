//! What is the same within one window made into few entries.
//!
//! Invariant: however many events come, from however many sources, a window
//! leaves at most [`ENTRIES`] entries of each action and one, of them at most
//! [`SUBJECTS`] and one of one source, and every event is counted in one of
//! them. What floods one action hides nothing of another.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use serde_json::{Value, json};
use yuantus_domain::id::PLATFORM;
use yuantus_identity::query::audit_log::Entry;

/// How many different entries of an action a window may leave.
const ENTRIES: usize = 512;
/// How many subjects of one source have entries of their own.
const SUBJECTS: usize = 32;
/// How many subjects an entry names that is about more of them.
const NAMED: usize = 8;

/// Where events come from: tenant, action, address and actor.
type Source = (String, &'static str, String, String);

/// What makes two events the same: their source, and what they are about;
/// `None` for whatever is not in an entry of its own.
type Key = (Source, Option<String>);

/// Events that are the same.
struct Same {
    first: Entry,
    at: Instant,
    count: u64,
    subjects: BTreeSet<String>,
}

/// The events of one window.
#[derive(Default)]
pub(crate) struct Window(BTreeMap<Key, Same>);

impl Window {
    /// Takes in an event, or what an earlier window left of many; `subject` is
    /// what it was about.
    pub(crate) fn add(&mut self, mut entry: Entry, subject: String, at: Instant) {
        let count = entry.details["count"].as_u64().unwrap_or(1);
        let mut key = (source(&entry), Some(subject.clone()));
        if !self.0.contains_key(&key) {
            if self.of_source(&key.0) >= SUBJECTS {
                key.1 = None;
            }
            if !self.0.contains_key(&key) && self.of_action(entry.action) >= ENTRIES {
                entry = Entry {
                    tenant: PLATFORM.to_owned(),
                    action: entry.action,
                    actor: "many".to_owned(),
                    target: entry.target,
                    ..Entry::default()
                };
                key = (source(&entry), None);
            }
        }
        let new = || Same { first: entry, at, count: 0, subjects: BTreeSet::new() };
        let same = self.0.entry(key).or_insert_with(new);
        same.count += count;
        if same.subjects.len() < NAMED {
            same.subjects.insert(subject);
        }
    }

    fn of_source(&self, source: &Source) -> usize {
        let from = self.0.range((source.clone(), Some(String::new()))..);
        from.take_while(|((other, _), _)| other == source).count()
    }

    fn of_action(&self, action: &str) -> usize {
        self.0.keys().filter(|((_, other, ..), _)| *other == action).count()
    }

    /// Ends the window: the entries it leaves, and since when.
    pub(crate) fn end(&mut self) -> Vec<(Entry, Instant)> {
        let all = std::mem::take(&mut self.0);
        all.into_iter().map(|((_, subject), same)| same.entry(subject.is_some())).collect()
    }
}

impl Same {
    /// The entry, which is about one subject or about several.
    fn entry(self, of_one: bool) -> (Entry, Instant) {
        let mut entry = self.first;
        match (self.count, of_one, &mut entry.details) {
            (1, ..) => {}
            (count, true, Value::Object(details)) => {
                details.insert("count".to_owned(), count.into());
            }
            (count, true, details) => *details = json!({ "count": count }),
            (count, false, details) => *details = json!({ "count": count, "of": self.subjects }),
        }
        (entry, self.at)
    }
}

fn source(entry: &Entry) -> Source {
    (entry.tenant.clone(), entry.action, entry.client_ip.clone(), entry.actor.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(address: usize) -> Entry {
        Entry {
            tenant: "acme".into(),
            action: "login.fail",
            client_ip: address.to_string(),
            ..Entry::default()
        }
    }

    #[test]
    fn the_same_refusal_again_is_counted_and_not_written_again() {
        let (mut window, now) = (Window::default(), Instant::now());
        for number in 0..1000 {
            window.add(refusal(1), format!("user-{}", number % 3), now);
        }
        window.add(refusal(2), "ann".into(), now);
        let told = Entry { details: json!({ "username": "bob" }), ..refusal(2) };
        (0..2).for_each(|_| window.add(told.clone(), "bob".into(), now));
        let left: Vec<Value> = window.end().into_iter().map(|(entry, _)| entry.details).collect();
        let of = |count: u64| json!({ "count": count });
        // One alone is as it was.
        let about_bob = json!({ "username": "bob", "count": 2 });
        assert_eq!(left, [of(334), of(333), of(333), Value::Null, about_bob]);
        assert!(window.end().is_empty(), "a new window");
    }

    #[test]
    fn who_tries_many_leaves_what_was_tried_first_and_a_count_of_the_rest() {
        let (mut window, now) = (Window::default(), Instant::now());
        for number in 0..1000 {
            window.add(refusal(1), format!("user-{number:03}"), now);
        }
        window.add(refusal(1), "user-007".into(), now);
        let left = window.end();
        assert_eq!(left.len(), SUBJECTS + 1);
        let rest = json!({ "count": 1000 - SUBJECTS, "of": ["user-032", "user-033", "user-034",
            "user-035", "user-036", "user-037", "user-038", "user-039"] });
        assert_eq!(left[0].0.details, rest);
        assert_eq!(left[8].0.details, json!({ "count": 2 }));
    }

    #[test]
    fn a_flood_from_everywhere_leaves_a_bounded_number_of_entries() {
        let (mut window, now) = (Window::default(), Instant::now());
        (0..100_000).for_each(|address| window.add(refusal(address), "ann".into(), now));
        let left = window.end();
        assert_eq!(left.len(), ENTRIES + 1);
        let counted: u64 =
            left.iter().map(|(entry, _)| entry.details["count"].as_u64().unwrap_or(1)).sum();
        assert_eq!(counted, 100_000);
    }
}
