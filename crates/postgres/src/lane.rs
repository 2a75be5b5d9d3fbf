//! How sessions and child processes of an operation are told apart on the
//! server: by `application_name`.

use std::fmt;

use sha2::{Digest, Sha256};

/// The name of every connection and child process of an operation,
/// `yuantus:<16 hex of SHA-256(plane, lane)>:<epoch>`: lanes of another control
/// plane on the same server are other lanes.
///
/// A lane's epochs must only ever grow, across its operations too: whoever
/// opens the lane ends what carries a lower one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneTag {
    lane: String,
    hash: [u8; 8],
    epoch: i64,
}

impl LaneTag {
    /// The tag of the holder of a plane's lane; epochs below zero count as zero.
    pub fn new(plane: &str, lane: &str, epoch: i64) -> Self {
        let digest = Sha256::digest(format!("{plane} {lane}"));
        let mut hash = [0; 8];
        hash.copy_from_slice(&digest[..8]);
        Self { lane: lane.to_owned(), hash, epoch: epoch.max(0) }
    }

    /// The lane.
    pub fn lane(&self) -> &str {
        &self.lane
    }

    /// The epoch of this holder.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The part that all epochs of the lane share.
    pub(crate) fn prefix(&self) -> String {
        format!("yuantus:{}:", hex::encode(self.hash))
    }

    /// The key of the lane's advisory lock.
    pub(crate) fn key(&self) -> i64 {
        i64::from_be_bytes(self.hash)
    }
}

impl fmt::Display for LaneTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix(), self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_a_lane_share_their_prefix_and_fit_an_application_name() {
        let (one, two) = (LaneTag::new("p", "a/b", 1), LaneTag::new("p", "a/b", i64::MAX));
        assert_eq!(one.prefix(), two.prefix());
        assert_ne!(one.prefix(), LaneTag::new("p", "a/c", 1).prefix());
        assert_ne!(one.prefix(), LaneTag::new("q", "a/b", 1).prefix());
        assert!(two.to_string().len() < 64, "{two}");
    }
}
