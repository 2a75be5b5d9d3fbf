//! Following a chain from row to row. How a hash is made, the identity
//! database's migration `audit_chain` says.

use aws_lc_rs::digest::{Context, SHA256};
use yuantus_identity::query::audit_chain::{Checkpoint, Link};

/// What the first row follows.
const ORIGIN: [u8; 32] = [0; 32];

/// Where a chain does not hold, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The first row that is not as it was written, or is not there.
    pub seq: i64,
    /// What is wrong, for people.
    pub what: String,
}

impl Broken {
    pub(crate) fn at(seq: i64, what: impl Into<String>) -> Self {
        Self { seq, what: what.into() }
    }
}

/// A chain, verified as far as `seq`.
pub(crate) struct Chain {
    /// The last row's number.
    pub(crate) seq: i64,
    /// Its hash.
    pub(crate) hash: Vec<u8>,
}

impl Chain {
    /// Begins before the first row, or behind a checkpoint.
    pub(crate) fn behind(checkpoint: Option<&Checkpoint>) -> Self {
        match checkpoint {
            Some(checkpoint) => Self { seq: checkpoint.seq, hash: checkpoint.hash.clone() },
            None => Self { seq: 0, hash: ORIGIN.to_vec() },
        }
    }

    /// Goes on to the next row.
    pub(crate) fn follow(&mut self, link: &Link) -> Result<(), Broken> {
        let due = self.seq + 1;
        if link.seq < due {
            return Err(Broken::at(link.seq, "a row was inserted where another one is or was"));
        }
        if link.seq > due {
            let last = link.seq - 1;
            let what = match last == due {
                true => "the row is missing".to_owned(),
                false => format!("the rows from here to {last} are missing"),
            };
            return Err(Broken::at(due, what));
        }
        if link.hash != hash(link) {
            return Err(Broken::at(due, "the row is not as it was written"));
        }
        if link.previous_hash != self.hash {
            return Err(Broken::at(due, "the row does not follow the one before it"));
        }
        self.seq = due;
        self.hash.clone_from(&link.hash);
        Ok(())
    }
}

/// The hash that a row has to have.
fn hash(link: &Link) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    context.update(&link.previous_hash);
    context.update(&link.seq.to_be_bytes());
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    for field in [
        Some(link.tenant_id.as_str()),
        number(Some(link.id)).as_deref(),
        Some(&link.org_id),
        Some(&link.actor),
        number(link.user_id.map(Into::into)).as_deref(),
        Some(&link.action),
        Some(&link.target),
        Some(&link.request_id),
        Some(&link.client_ip),
        Some(&link.user_agent),
        Some(&link.method),
        Some(&link.path),
        number(link.status_code.map(Into::into)).as_deref(),
        number(link.duration_ms).as_deref(),
        Some(&link.error),
        Some(&link.details),
    ] {
        match field {
            Some(text) => {
                // PostgreSQL holds no text of 4 GiB.
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                context.update(&length.to_be_bytes());
                context.update(text.as_bytes());
            }
            None => context.update(&[0xff; 4]),
        }
    }
    context.update(&link.created_at_bytes);
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn link(seq: i64, previous: &[u8]) -> Link {
        let mut link = Link {
            id: 10 + seq,
            tenant_id: "acme".into(),
            org_id: String::new(),
            actor: "acme/ann".into(),
            user_id: Some(7),
            action: "org.create".into(),
            target: "tenants/acme/orgs/hq".into(),
            request_id: "r".into(),
            client_ip: "127.0.0.1".into(),
            user_agent: "curl".into(),
            method: String::new(),
            path: String::new(),
            status_code: None,
            duration_ms: None,
            error: String::new(),
            details: "{}".into(),
            created_at: DateTime::UNIX_EPOCH,
            created_at_bytes: vec![0; 8],
            seq,
            previous_hash: previous.to_vec(),
            hash: Vec::new(),
        };
        link.hash = hash(&link);
        link
    }

    fn broken(links: &[Link]) -> Option<i64> {
        let mut chain = Chain::behind(None);
        links.iter().find_map(|link| chain.follow(link).err()).map(|broken| broken.seq)
    }

    #[test]
    fn a_row_is_bound_to_its_content_its_place_and_the_one_before() {
        let one = link(1, &ORIGIN);
        let two = link(2, &one.hash);
        let three = link(3, &two.hash);
        let all = [one, two, three];
        assert_eq!(broken(&all), None);

        let mut changed = all.clone();
        changed[1].actor = "acme/bob".into();
        assert_eq!(broken(&changed), Some(2));
        changed[1].hash = hash(&changed[1]);
        assert_eq!(broken(&changed), Some(3), "with a hash that fits");

        assert_eq!(broken(&[all[0].clone(), all[2].clone()]), Some(2), "deleted");
        assert_eq!(broken(&[all[0].clone(), all[0].clone(), all[1].clone()]), Some(1), "twice");
        let mut swapped = all.clone();
        swapped.swap(1, 2);
        (swapped[1].seq, swapped[2].seq) = (2, 3);
        assert_eq!(broken(&swapped), Some(2), "swapped");
    }

    #[test]
    fn nothing_can_be_moved_from_one_column_to_the_next() {
        let whole = link(1, &ORIGIN);
        let mut moved = whole.clone();
        moved.actor = "acme/annorg".into();
        moved.action = ".create".into();
        assert_ne!(hash(&moved), whole.hash);
        let mut emptied = whole.clone();
        emptied.user_id = None;
        assert_ne!(hash(&emptied), whole.hash);
    }
}
