//! How much somebody may do: a bucket of tokens for each of them, refilled over time.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use freehold_core::Subject;
use tokio::time::Instant;

/// How many buckets are remembered. Beyond it, those that are full are forgotten.
const REMEMBERED: usize = 10_000;

/// Whose allowance it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// Somebody unknown, by the network of their address. Requests without an address share one allowance.
    Network(Option<IpAddr>),
    /// Somebody who is signed in, wherever they are.
    Person(Subject),
}

impl Whose {
    /// That of somebody unknown at an address.
    pub(crate) fn at(address: Option<IpAddr>) -> Self {
        Self::Network(address.map(network))
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Allowance {
    /// Credentials that were refused.
    Refusals,
    /// Requests that are passed on to the service that signs people in, and may send mail.
    SignUps,
    /// Commands and changes of somebody who is signed in: each is kept on the audit log.
    Changes,
}

impl Allowance {
    /// How many at once, and how long until one more.
    const fn bounds(self) -> (f64, Duration) {
        match self {
            Self::Refusals => (120.0, Duration::from_millis(500)),
            Self::SignUps => (10.0, Duration::from_secs(30)),
            Self::Changes => (600.0, Duration::from_millis(500)),
        }
    }
}

/// The buckets. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Throttle(Arc<Mutex<Buckets>>);

type Buckets = HashMap<(Whose, Allowance), Bucket>;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn refilled(self, now: Instant, allowance: Allowance) -> Self {
        let (most, each) = allowance.bounds();
        let gained = (now - self.at).as_secs_f64() / each.as_secs_f64();
        Self { left: (self.left + gained).min(most), at: now }
    }
}

impl Throttle {
    /// Takes one from somebody's allowance.
    ///
    /// # Errors
    /// How long to wait, if there is none left.
    pub(crate) fn spend(&self, whose: Whose, allowance: Allowance) -> Result<(), Duration> {
        let (most, each) = allowance.bounds();
        let now = Instant::now();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (whose, allowance);
        if buckets.len() >= REMEMBERED && !buckets.contains_key(&key) {
            // One that is full again says nothing.
            buckets.retain(|(_, of), bucket| bucket.refilled(now, *of).left < of.bounds().0);
            if buckets.len() >= REMEMBERED {
                // The unknown share one; nobody who is signed in is kept from their work by others.
                let Whose::Network(address) = &mut key.0 else { return Ok(()) };
                *address = None;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { left: most, at: now });
        *bucket = bucket.refilled(now, allowance);
        if bucket.left < 1.0 {
            return Err(each.mul_f64(1.0 - bucket.left));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

/// What stands for one customer of a network: an IPv4 address, the first half of an IPv6 one (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => (address & std::net::Ipv6Addr::from_bits(!0 << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_allowance_gets_it_back_over_time_and_takes_none_of_others() {
        let throttle = Throttle::default();
        let spend = |address: &str| throttle.spend(Whose::at(address.parse().ok()), Allowance::SignUps);
        for _ in 0..10 {
            assert_eq!(spend("192.0.2.1"), Ok(()));
        }
        assert_eq!(spend("192.0.2.1"), Err(Duration::from_secs(30)));
        assert_eq!(spend("192.0.2.2"), Ok(()));
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(spend("192.0.2.1"), Ok(()));
        assert!(spend("192.0.2.1").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_network_of_a_customer_counts_as_one() {
        let throttle = Throttle::default();
        let spend = |address: &str| throttle.spend(Whose::at(address.parse().ok()), Allowance::SignUps);
        for n in 0..10 {
            spend(&format!("2001:db8::{n}")).unwrap();
        }
        assert!(spend("2001:db8::ffff").is_err());
        assert!(spend("2001:db8:0:1::1").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_and_keeps_nobody_who_is_signed_in_from_their_work() {
        let throttle = Throttle::default();
        let person = |name: &str| Whose::Person(name.parse().unwrap());
        throttle.spend(person("known"), Allowance::Changes).unwrap();
        for n in 0..u32::try_from(REMEMBERED).unwrap() + 500 {
            let address = std::net::Ipv4Addr::from_bits(n).into();
            let _ = throttle.spend(Whose::at(Some(address)), Allowance::SignUps);
        }
        assert!(throttle.0.lock().unwrap().len() <= REMEMBERED + 1);
        for _ in 0..1_000 {
            assert_eq!(throttle.spend(person("new"), Allowance::Changes), Ok(()));
        }
        for _ in 1..600 {
            throttle.spend(person("known"), Allowance::Changes).unwrap();
        }
        assert_eq!(throttle.spend(person("known"), Allowance::Changes), Err(Duration::from_millis(500)));
    }
}
