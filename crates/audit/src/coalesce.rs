//! What is the same within one window made into few entries.
//!
//! Invariant: however many events come, from however many sources, a window
//! leaves at most [`KEYS`] entries of each action and one, and every event is
//! counted in one of them. What floods one action hides nothing of another.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use serde_json::json;
use yuantus_domain::id::PLATFORM;
use yuantus_identity::query::audit_log::Entry;

/// How many different entries of an action a window may leave.
const KEYS: usize = 256;
/// How many different subjects an entry names.
const SUBJECTS: usize = 8;

/// What makes two events the same: tenant, action, address and actor.
type Key = (String, &'static str, String, String);

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
        let mut key = key(&entry);
        let of_action = || self.0.keys().filter(|(_, action, ..)| *action == entry.action).count();
        if !self.0.contains_key(&key) && of_action() >= KEYS {
            entry = Entry {
                tenant: PLATFORM.to_owned(),
                action: entry.action,
                actor: "many".to_owned(),
                target: entry.target,
                ..Entry::default()
            };
            key = self::key(&entry);
        }
        let new = || Same { first: entry, at, count: 0, subjects: BTreeSet::new() };
        let same = self.0.entry(key).or_insert_with(new);
        same.count += count;
        if same.subjects.len() < SUBJECTS {
            same.subjects.insert(subject);
        }
    }

    /// Ends the window: the entries it leaves, and since when.
    pub(crate) fn end(&mut self) -> Vec<(Entry, Instant)> {
        std::mem::take(&mut self.0).into_values().map(Same::entry).collect()
    }
}

impl Same {
    fn entry(self) -> (Entry, Instant) {
        let mut entry = self.first;
        if self.count > 1 {
            entry.details = json!({ "count": self.count, "of": self.subjects });
        }
        (entry, self.at)
    }
}

fn key(entry: &Entry) -> Key {
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
        let left = window.end();
        assert_eq!(left.len(), 2);
        let expected = json!({ "count": 1000, "of": ["user-0", "user-1", "user-2"] });
        assert_eq!(left[0].0.details, expected);
        assert_eq!(left[1].0.details, serde_json::Value::Null, "one alone is as it was");
        assert!(window.end().is_empty(), "a new window");
    }

    #[test]
    fn a_flood_from_everywhere_leaves_a_bounded_number_of_entries() {
        let (mut window, now) = (Window::default(), Instant::now());
        (0..100_000).for_each(|address| window.add(refusal(address), "ann".into(), now));
        let left = window.end();
        assert_eq!(left.len(), KEYS + 1);
        let counted: u64 =
            left.iter().map(|(entry, _)| entry.details["count"].as_u64().unwrap_or(1)).sum();
        assert_eq!(counted, 100_000);
    }
}
