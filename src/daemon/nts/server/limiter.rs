//! How often an address may exchange keys: each costs us as much as a thousand answers.

use crate::units::{MonoTime, Seconds};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// A client needs a key exchange in weeks, but several may share an address.
const INTERVAL: Seconds = Seconds::new(64.0);
/// As many may come at once.
const BURST: f64 = 8.0;
/// Addresses that are known at a time. Where there are more, those beyond are not limited but by the number of connections: else a
/// flood of addresses would keep all others out.
const KNOWN: usize = 4_096;

/// When each address will have used up nothing of its burst.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    rested: BTreeMap<IpAddr, MonoTime>,
}

/// What one user has: of IPv6 a network.
fn owner(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

impl Limiter {
    /// Whether this address may exchange keys now; counts it if so.
    pub(super) fn admits(&mut self, address: IpAddr, now: MonoTime) -> bool {
        let address = owner(address);
        if self.rested.len() >= KNOWN && !self.rested.contains_key(&address) {
            self.rested.retain(|_, rested| *rested > now);
            if self.rested.len() >= KNOWN {
                return true;
            }
        }
        let rested = self.rested.entry(address).or_insert(now);
        let from = (*rested).max(now);
        if from.since(now).get() > (BURST - 1.0) * INTERVAL.get() {
            return false;
        }
        *rested = from + INTERVAL;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_eight_at_once_and_then_one_in_64_seconds() {
        let mut limiter = Limiter::default();
        let (mut at, us) = (MonoTime::ZERO, "192.0.2.1".parse().unwrap());
        assert_eq!((0..20).filter(|_| limiter.admits(us, at)).count(), 8);
        assert!(limiter.admits("192.0.2.2".parse().unwrap(), at));
        let mut admitted = 0;
        for _ in 0..640 {
            at = at + Seconds::new(1.0);
            admitted += usize::from(limiter.admits(us, at));
        }
        assert_eq!(admitted, 10);
        let of_a_network = |host: u128| Ipv6Addr::from_bits(0x2001_0db8 << 96 | host).into();
        assert_eq!((0..20).filter(|host| limiter.admits(of_a_network(*host), at)).count(), 8);
    }

    #[test]
    fn a_flood_of_addresses_keeps_no_others_out() {
        let mut limiter = Limiter::default();
        for host in 0..10_000u32 {
            assert!(limiter.admits(IpAddr::V4(host.into()), MonoTime::ZERO));
        }
        assert_eq!(limiter.rested.len(), KNOWN);
        assert!(limiter.admits("192.0.2.1".parse().unwrap(), MonoTime::ZERO + Seconds::new(65.0)));
        assert_eq!(limiter.rested.len(), 1);
    }
}
