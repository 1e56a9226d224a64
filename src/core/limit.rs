//! Rate limiting for clients under `restrict ... limited`, with the leaky bucket of ntpd
//! (`discard average` and `minimum`). Memory is bounded: the client heard longest ago goes first.

use crate::config::model::{AccessFlags, Discard, Mru};
use crate::units::MonoTime;
use crate::wire::Mode;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Most clients remembered whatever `mru` says: some 150 MB.
pub const MAX_CLIENTS: u32 = 1_000_000;

/// What to do with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Answer it.
    Pass,
    /// Drop it.
    Drop,
    /// Answer it with a kiss of RATE.
    Kiss,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    last: MonoTime,
    order: u64,
    leak: i64,
}

/// The clients heard of late.
#[derive(Clone, Debug)]
pub struct ClientTable {
    clients: BTreeMap<IpAddr, Client>,
    by_age: BTreeMap<u64, IpAddr>,
    next_order: u64,
    average: u8,
    minimum: u8,
    most: usize,
}

impl ClientTable {
    /// An empty table.
    #[must_use]
    pub fn new(discard: &Discard, mru: &Mru) -> Self {
        let mut table = Self {
            clients: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next_order: 0,
            average: 0,
            minimum: 0,
            most: 1,
        };
        table.set_limits(discard, mru);
        table
    }

    /// Other limits from now on; exponents past 17 are taken as 17 (36 hours).
    /// Clients beyond the new depth are forgotten, those heard longest ago first.
    pub fn set_limits(&mut self, discard: &Discard, mru: &Mru) {
        self.average = discard.average.min(17);
        self.minimum = discard.minimum.min(17);
        self.most = mru.maxdepth.clamp(1, MAX_CLIENTS) as usize;
        while self.clients.len() > self.most {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.by_age.pop_first() {
            self.clients.remove(&oldest);
        }
    }

    /// Judges a request, where the access flags say `limited`.
    pub fn check(&mut self, from: SocketAddr, now: MonoTime, flags: AccessFlags, mode: Mode) -> Verdict {
        if !flags.contains(AccessFlags::LIMITED) {
            return Verdict::Pass;
        }
        let Some((interval, mut leak)) = self.note(from.ip(), now) else { return Verdict::Pass };
        let head = 1i64 << self.average;
        leak = (leak - interval).max(0);
        let mut verdict = Verdict::Drop;
        if interval + 1 >= 1i64 << self.minimum && leak + head < 8 * head {
            leak += head - 2;
            verdict = Verdict::Pass;
        } else if leak < 8 * head {
            leak = 9 * head;
            if flags.contains(AccessFlags::KOD) && !matches!(mode, Mode::Server | Mode::Broadcast) {
                verdict = Verdict::Kiss;
            }
        }
        if let Some(client) = self.clients.get_mut(&from.ip()) {
            client.leak = leak;
        }
        verdict
    }

    /// Notes that a client was heard; gives whole seconds since the last time and its bucket,
    /// nothing for a client not known yet.
    fn note(&mut self, address: IpAddr, now: MonoTime) -> Option<(i64, i64)> {
        self.next_order += 1;
        let order = self.next_order;
        let known = self.clients.get_mut(&address).map(|client| {
            let interval = now.since(client.last).get().max(0.0) as i64;
            self.by_age.remove(&client.order);
            (client.last, client.order) = (now, order);
            (interval, client.leak)
        });
        if known.is_none() {
            if self.clients.len() >= self.most {
                self.forget_oldest();
            }
            self.clients.insert(address, Client { last: now, order, leak: 0 });
        }
        self.by_age.insert(order, address);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seconds;

    fn run(flags: AccessFlags, spacing: f64, count: u32) -> Vec<Verdict> {
        let mut table = ClientTable::new(&Discard::default(), &Mru::default());
        let from: SocketAddr = "192.0.2.1:123".parse().unwrap();
        (0..count)
            .map(|i| {
                let now = MonoTime::ZERO + Seconds::new(f64::from(i) * spacing);
                table.check(from, now, flags, Mode::Client)
            })
            .collect()
    }

    #[test]
    fn polite_clients_pass_and_hasty_ones_do_not() {
        let flags = AccessFlags::LIMITED.union(AccessFlags::KOD);
        assert!(run(flags, 64.0, 50).iter().all(|v| *v == Verdict::Pass));
        let hasty = run(flags, 0.1, 50);
        assert_eq!(hasty[0], Verdict::Pass);
        assert_eq!(hasty.iter().filter(|v| **v == Verdict::Kiss).count(), 1, "{hasty:?}");
        assert!(hasty[2..].iter().all(|v| *v == Verdict::Drop));
        assert!(run(AccessFlags::KOD, 0.1, 50).iter().all(|v| *v == Verdict::Pass), "kod alone does nothing");
        assert!(!run(AccessFlags::LIMITED, 0.1, 50).contains(&Verdict::Kiss));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let mru = Mru { maxdepth: 500 };
        let mut table = ClientTable::new(&Discard::default(), &mru);
        for i in 0..600 {
            let from = SocketAddr::from((std::net::Ipv4Addr::from_bits(0x0a00_0000 + i), 1000));
            table.check(from, MonoTime::from_nanos(u64::from(i)), AccessFlags::LIMITED, Mode::Client);
        }
        assert_eq!((table.clients.len(), table.by_age.len()), (500, 500));
        assert!(!table.clients.contains_key(&IpAddr::from([10, 0, 0, 99])));
        table.set_limits(&Discard::default(), &Mru { maxdepth: Mru::depth_of(15) });
        assert_eq!((table.clients.len(), table.by_age.len()), (102, 102));
        assert!(table.clients.contains_key(&IpAddr::from([10, 0, 2, 87])), "the last one heard");
    }
}
