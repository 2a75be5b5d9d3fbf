//! How often somebody may try to log in, at one account and from one source,
//! and how often a session may be refreshed.
//!
//! Invariant: however many accounts and sources there are, memory is bounded.
//! They share a fixed number of places, by a hash that nobody outside knows:
//! two that meet in one are limited together, which is rare, and cannot be
//! aimed at.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use uuid::Uuid;

use crate::{Error, Result};

/// How many places there are for each kind.
const PLACES: u64 = 1 << 16;

/// Counts attempts. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Attempts(Arc<Inner>);

struct Inner {
    accounts: DefaultKeyedRateLimiter<u64>,
    sources: DefaultKeyedRateLimiter<u64>,
    hasher: RandomState,
    clock: DefaultClock,
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").finish_non_exhaustive()
    }
}

impl Attempts {
    /// So many a minute at one account, and from one source; as many at once.
    pub fn new(per_account: NonZeroU32, per_source: NonZeroU32) -> Self {
        Self(Arc::new(Inner {
            accounts: RateLimiter::keyed(Quota::per_minute(per_account)),
            sources: RateLimiter::keyed(Quota::per_minute(per_source)),
            hasher: RandomState::new(),
            clock: DefaultClock::default(),
        }))
    }

    /// Counts an attempt at an account; refuses one too many.
    pub fn at_account(&self, tenant: &str, account: &str) -> Result<()> {
        self.count(&self.0.accounts, (tenant, account))
    }

    /// Counts a refresh of a session, of which there may be as many as attempts
    /// at an account; refuses one too many.
    pub fn at_session(&self, id: Uuid) -> Result<()> {
        self.count(&self.0.accounts, id)
    }

    /// Counts an attempt from an address; refuses one too many. A network of
    /// IPv6 is one source: whoever has one address of it has all.
    pub fn from_source(&self, address: &str) -> Result<()> {
        match address.parse().map(|address: IpAddr| address.to_canonical()) {
            Ok(IpAddr::V6(address)) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                self.count(&self.0.sources, Ipv6Addr::from_bits(network))
            }
            Ok(address) => self.count(&self.0.sources, address),
            // The same for all who have none.
            Err(_) => self.count(&self.0.sources, ""),
        }
    }

    fn count(&self, limiter: &DefaultKeyedRateLimiter<u64>, key: impl Hash) -> Result<()> {
        let place = self.0.hasher.hash_one(key) % PLACES;
        limiter.check_key(&place).map_err(|until| Error::TooManyAttempts {
            retry_after: until.wait_time_from(self.0.clock.now()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(per_account: u32, per_source: u32) -> Attempts {
        let number = |n| NonZeroU32::new(n).unwrap();
        Attempts::new(number(per_account), number(per_source))
    }

    #[test]
    fn one_account_and_one_source_are_limited_and_others_are_not() {
        let attempts = attempts(2, 3);
        assert!((0..2).all(|_| attempts.at_account("acme", "ann").is_ok()));
        let refused = attempts.at_account("acme", "ann").unwrap_err();
        let Error::TooManyAttempts { retry_after } = refused else { panic!("{refused}") };
        assert!((1..=30).contains(&retry_after.as_secs()), "{retry_after:?}");
        assert!(attempts.at_account("acme", "bob").is_ok());
        assert!(attempts.at_account("beta", "ann").is_ok());
        let network = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"];
        assert!(network.iter().all(|address| attempts.from_source(address).is_ok()));
        assert!(attempts.from_source("2001:db8::4").is_err(), "the same network");
        assert!(attempts.from_source("2001:db8:0:1::4").is_ok());
        assert!(attempts.from_source("10.0.0.1").is_ok());
        assert!((0..2).all(|_| attempts.from_source("::ffff:10.0.0.1").is_ok()));
        assert!(attempts.from_source("10.0.0.1").is_err(), "the same address");
    }

    #[test]
    fn however_many_come_memory_is_bounded() {
        let attempts = attempts(1, 1);
        for n in 0..200_000_u32 {
            let _ = attempts.from_source(&std::net::Ipv4Addr::from_bits(n).to_string());
        }
        assert!(attempts.0.sources.len() as u64 <= PLACES);
    }
}
