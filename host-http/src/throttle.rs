//! How much somebody unknown may do: a bucket of tokens for each address, refilled over time.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many addresses are remembered. Beyond it, those whose buckets are full are forgotten.
const ADDRESSES: usize = 10_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Allowance {
    /// Credentials that were refused.
    Refusals,
    /// Requests that are passed on to the service that signs people in, and may send mail.
    SignUps,
}

impl Allowance {
    /// How many at once, and how long until one more.
    const fn bounds(self) -> (f64, Duration) {
        match self {
            Self::Refusals => (120.0, Duration::from_millis(500)),
            Self::SignUps => (10.0, Duration::from_secs(30)),
        }
    }
}

/// The buckets. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Throttle(Arc<Mutex<Buckets>>);

type Buckets = HashMap<(Option<IpAddr>, Allowance), Bucket>;

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
    /// Takes one from an address' allowance. Requests without an address share one.
    ///
    /// # Errors
    /// How long to wait, if there is none left.
    pub(crate) fn spend(&self, address: Option<IpAddr>, allowance: Allowance) -> Result<(), Duration> {
        let (most, each) = allowance.bounds();
        let now = Instant::now();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address.map(network), allowance);
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&key) {
            // One that is full again says nothing; if none is, the address shares the bucket of the unknown.
            buckets.retain(|(_, of), bucket| bucket.refilled(now, *of).left < of.bounds().0);
        }
        let key =
            if buckets.len() >= ADDRESSES && !buckets.contains_key(&key) { (None, allowance) } else { key };
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
        let spend = |address: &str| throttle.spend(address.parse().ok(), Allowance::SignUps);
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
        for n in 0..10 {
            throttle.spend(format!("2001:db8::{n}").parse().ok(), Allowance::SignUps).unwrap();
        }
        assert!(throttle.spend("2001:db8::ffff".parse().ok(), Allowance::SignUps).is_err());
        assert!(throttle.spend("2001:db8:0:1::1".parse().ok(), Allowance::SignUps).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 500 {
            let _ = throttle.spend(Some(std::net::Ipv4Addr::from_bits(n).into()), Allowance::SignUps);
        }
        assert!(throttle.0.lock().unwrap().len() <= ADDRESSES + 1);
    }
}
