//! The access list: which restrict entry applies to a client (ntp_acc(5)).
//!
//! Two lists, one a family, each beginning with a default entry without flags. Entries with the
//! same address, mask and `ntpport` are one, their flags OR-ed. They are sorted by descending
//! address, then mask, `ntpport` first; the first match wins, which for contiguous masks is the
//! longest prefix. The flags of other matching entries do not count.

use crate::config::model::{AccessFlags, Family, Origin, Restrict, RestrictTarget};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port whose packets an `ntpport` entry matches.
const NTP_PORT: u16 = 123;

/// An entry: addresses widened to 128 bits, each family in its own list.
#[derive(Clone, Debug)]
struct Entry {
    address: u128,
    mask: u128,
    ntpport: bool,
    flags: AccessFlags,
    origins: Vec<Origin>,
    kind: EntryKind,
    /// Packets that it applied to.
    hits: Cell<u64>,
}

/// Where an entry comes from, for those that are replaced as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum EntryKind {
    Configured,
    OwnAddress,
    Source,
}

impl Entry {
    const fn key(&self) -> (u128, u128, bool) {
        (self.address, self.mask, self.ntpport)
    }

    const fn matches(&self, address: u128, port: u16) -> bool {
        address & self.mask == self.address && (!self.ntpport || port == NTP_PORT)
    }
}

/// An entry, for ntpq's `reslist`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The entry's address.
    pub address: IpAddr,
    /// The entry's mask.
    pub mask: IpAddr,
    /// Whether it is for packets from port 123 only.
    pub ntpport: bool,
    /// Whether the daemon added it for an address of its own.
    pub own: bool,
    /// What it forbids.
    pub flags: AccessFlags,
    /// Packets that it applied to.
    pub hits: u64,
}

/// The entry that applies to a client.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// What the client may not do.
    pub flags: AccessFlags,
    /// The entry's address.
    pub address: IpAddr,
    /// The entry's mask.
    pub mask: IpAddr,
    /// Whether the entry is for packets from port 123 only.
    pub ntpport: bool,
    /// The lines that made the entry; none for what the daemon adds by itself.
    pub origins: &'a [Origin],
}

/// The access list of both families.
#[derive(Clone, Debug)]
pub struct AccessList {
    v4: Vec<Entry>,
    v6: Vec<Entry>,
    source: Option<(AccessFlags, bool, Origin)>,
}

impl AccessList {
    /// The list that these lines make. Names wait for [`AccessList::insert_resolved`].
    #[must_use]
    pub fn build(lines: &[Restrict]) -> Self {
        let default = || Entry {
            address: 0,
            mask: 0,
            ntpport: false,
            flags: AccessFlags::NONE,
            origins: Vec::new(),
            kind: EntryKind::Configured,
            hits: Cell::new(0),
        };
        let mut list = Self { v4: vec![default()], v6: vec![default()], source: None };
        for line in lines {
            match &line.target {
                RestrictTarget::Default(family) => {
                    if *family != Family::V6 {
                        list.insert(
                            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                            line,
                        );
                    }
                    if *family != Family::V4 {
                        list.insert(
                            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                            line,
                        );
                    }
                }
                RestrictTarget::Net { address, mask } => list.insert(*address, *mask, line),
                RestrictTarget::Name(..) => {}
                RestrictTarget::Source => {
                    list.source = Some((line.flags, line.ntpport, line.origin.clone()));
                }
            }
        }
        list
    }

    /// Adds the host entry of a line with a name, now that its address is known.
    pub fn insert_resolved(&mut self, line: &Restrict, address: IpAddr) {
        self.insert(address, full_mask(address), line);
    }

    /// Our own addresses: packets from them with port 123 are our own, gone astray or forged.
    pub fn set_own_addresses(&mut self, addresses: &[IpAddr]) {
        self.drop_kind(EntryKind::OwnAddress);
        for address in addresses {
            self.put(*address, full_mask(*address), true, AccessFlags::IGNORE, None, EntryKind::OwnAddress);
        }
    }

    /// Our servers: each gets a host entry with the flags of `restrict source`, where there is such
    /// a line and no entry for that host.
    pub fn set_sources(&mut self, addresses: &[IpAddr]) {
        self.drop_kind(EntryKind::Source);
        let Some((flags, ntpport, origin)) = self.source.clone() else { return };
        for address in addresses {
            let (bits, mask) = (widen(*address), widen(full_mask(*address)));
            if !self.family(*address).iter().any(|e| e.mask == mask && e.address == bits && !e.ntpport) {
                let origin = Some(origin.clone());
                self.put(*address, full_mask(*address), ntpport, flags, origin, EntryKind::Source);
            }
        }
    }

    /// The flags for a packet from `from`. Multicast addresses send nothing, so they are ignored.
    #[must_use]
    pub fn lookup(&self, from: SocketAddr) -> AccessFlags {
        if from.ip().is_multicast() {
            return AccessFlags::IGNORE;
        }
        self.find(from).map_or(AccessFlags::NONE, |e| {
            e.hits.set(e.hits.get() + 1);
            e.flags
        })
    }

    /// The entry for a packet from `from`, with the lines that made it.
    #[must_use]
    pub fn explain(&self, from: SocketAddr) -> Match<'_> {
        let unspecified = narrow(0, from.ip());
        self.find(from).map_or(
            Match {
                flags: AccessFlags::NONE,
                address: unspecified,
                mask: unspecified,
                ntpport: false,
                origins: &[],
            },
            |e| Match {
                flags: e.flags,
                address: narrow(e.address, from.ip()),
                mask: narrow(e.mask, from.ip()),
                ntpport: e.ntpport,
                origins: &e.origins,
            },
        )
    }

    /// All entries as they are looked through: IPv4, then IPv6.
    pub fn list(&self) -> impl Iterator<Item = Listed> {
        let v4 = self.v4.iter().map(|e| (e, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let v6 = self.v6.iter().map(|e| (e, IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        v4.chain(v6).map(|(e, family)| Listed {
            address: narrow(e.address, family),
            mask: narrow(e.mask, family),
            ntpport: e.ntpport,
            own: e.kind == EntryKind::OwnAddress,
            flags: e.flags,
            hits: e.hits.get(),
        })
    }

    /// Goes on counting where `old`, which this list replaces, had come to.
    pub fn carry_hits(&self, old: &Self) {
        for (new, old) in [(&self.v4, &old.v4), (&self.v6, &old.v6)] {
            for entry in new {
                if let Some(same) = old.iter().find(|o| o.key() == entry.key() && o.kind == entry.kind) {
                    entry.hits.set(same.hits.get());
                }
            }
        }
    }

    fn find(&self, from: SocketAddr) -> Option<&Entry> {
        let address = widen(from.ip());
        self.family(from.ip()).iter().find(|e| e.matches(address, from.port()))
    }

    fn family(&self, address: IpAddr) -> &Vec<Entry> {
        if address.is_ipv4() { &self.v4 } else { &self.v6 }
    }

    fn insert(&mut self, address: IpAddr, mask: IpAddr, line: &Restrict) {
        let origin = Some(line.origin.clone());
        self.put(address, mask, line.ntpport, line.flags, origin, EntryKind::Configured);
    }

    fn put(
        &mut self,
        address: IpAddr,
        mask: IpAddr,
        ntpport: bool,
        flags: AccessFlags,
        origin: Option<Origin>,
        kind: EntryKind,
    ) {
        let mask = widen(mask);
        let address_bits = widen(address) & mask;
        let entry = Entry {
            address: address_bits,
            mask,
            ntpport,
            flags,
            origins: origin.into_iter().collect(),
            kind,
            hits: Cell::new(0),
        };
        let list = if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        // Descending keys; what the daemon adds goes before a configured entry of the same key.
        let index = list.partition_point(|e| e.key() > entry.key());
        match list[index..].iter_mut().take_while(|e| e.key() == entry.key()).find(|e| e.kind == kind) {
            Some(same) => {
                same.flags = same.flags.union(flags);
                same.origins.extend(entry.origins);
            }
            None => list.insert(index, entry),
        }
    }

    fn drop_kind(&mut self, kind: EntryKind) {
        self.v4.retain(|e| e.kind != kind);
        self.v6.retain(|e| e.kind != kind);
    }
}

/// The mask of a single host.
fn full_mask(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::BROADCAST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
    }
}

fn widen(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// `bits` as an address of the family of `like`.
fn narrow(bits: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(address: &str, mask: &str, flags: AccessFlags, ntpport: bool) -> Restrict {
        Restrict {
            target: RestrictTarget::Net { address: address.parse().unwrap(), mask: mask.parse().unwrap() },
            flags,
            ntpport,
            origin: Origin::default(),
        }
    }

    fn default(family: Family, flags: AccessFlags, line: u32) -> Restrict {
        let origin = Origin { line, ..Origin::default() };
        Restrict { target: RestrictTarget::Default(family), flags, ntpport: false, origin }
    }

    fn from(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_empty_list_allows_everything() {
        let list = AccessList::build(&[]);
        assert_eq!(list.lookup(from("192.0.2.1:40000")), AccessFlags::NONE);
        assert_eq!(list.lookup(from("[2001:db8::1]:40000")), AccessFlags::NONE);
        assert_eq!(list.lookup(from("224.0.1.1:40000")), AccessFlags::IGNORE);
    }

    #[test]
    fn defaults_are_ored_and_a_host_entry_replaces_them() {
        let list = AccessList::build(&[
            default(Family::Any, AccessFlags::IGNORE, 5),
            default(Family::V6, AccessFlags::NOQUERY, 9),
            net("127.0.0.1", "255.255.255.255", AccessFlags::NONE, false),
        ]);
        assert_eq!(list.lookup(from("192.0.2.1:123")), AccessFlags::IGNORE);
        assert_eq!(list.lookup(from("[::2]:123")), AccessFlags::IGNORE.union(AccessFlags::NOQUERY));
        assert_eq!(list.lookup(from("127.0.0.1:123")), AccessFlags::NONE);
        let lines: Vec<u32> = list.explain(from("[::2]:123")).origins.iter().map(|o| o.line).collect();
        assert_eq!(lines, vec![5, 9]);
    }

    #[test]
    fn our_own_address_may_not_speak_from_port_123() {
        let mut list = AccessList::build(&[net("10.0.0.5", "255.255.255.255", AccessFlags::NONE, false)]);
        list.set_own_addresses(&["10.0.0.5".parse().unwrap()]);
        assert_eq!(list.lookup(from("10.0.0.5:123")), AccessFlags::IGNORE);
        assert_eq!(list.lookup(from("10.0.0.5:5123")), AccessFlags::NONE);
        list.set_own_addresses(&[]);
        assert_eq!(list.lookup(from("10.0.0.5:123")), AccessFlags::NONE);
    }

    #[test]
    fn restrict_source_makes_holes_for_our_servers() {
        let source = Restrict {
            target: RestrictTarget::Source,
            flags: AccessFlags::NOQUERY,
            ntpport: false,
            origin: Origin::default(),
        };
        let mut list = AccessList::build(&[default(Family::Any, AccessFlags::IGNORE, 1), source]);
        list.set_sources(&["192.0.2.7".parse().unwrap()]);
        assert_eq!(list.lookup(from("192.0.2.7:123")), AccessFlags::NOQUERY);
        assert_eq!(list.lookup(from("192.0.2.8:123")), AccessFlags::IGNORE);
    }

    /// The rule as the manual tells it: of all the entries that match, the one that sorts last
    /// ascending; written without any of the code above.
    fn naive(lines: &[Restrict], from: Ipv4Addr, port: u16) -> AccessFlags {
        let mut best: Option<(u32, u32, bool)> = None;
        let rows: Vec<((u32, u32, bool), AccessFlags)> = lines
            .iter()
            .filter_map(|l| match l.target {
                RestrictTarget::Net { address: IpAddr::V4(a), mask: IpAddr::V4(m) } => {
                    Some(((a.to_bits() & m.to_bits(), m.to_bits(), l.ntpport), l.flags))
                }
                _ => None,
            })
            .chain([((0, 0, false), AccessFlags::NONE)])
            .collect();
        for ((address, mask, ntpport), _) in &rows {
            if from.to_bits() & mask == *address && (!ntpport || port == 123) {
                best = best.max(Some((*address, *mask, *ntpport)));
            }
        }
        rows.iter().filter(|r| Some(r.0) == best).fold(AccessFlags::NONE, |sum, r| sum.union(r.1))
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_rule(
            rows in prop::collection::vec((0u32..16, 0usize..6, any::<bool>(), 0usize..15), 0..20),
            host in 0u32..16,
            port in prop::sample::select(vec![123u16, 40_000]),
        ) {
            // Few addresses and masks, some of them not contiguous, so that entries meet.
            let masks = [0u32, 0xffff_ffff, 0xffff_fff0, 0xffff_fffe, 0xffff_fff5, 0x0000_0003];
            let lines: Vec<Restrict> = rows
                .iter()
                .map(|(a, m, ntpport, flag)| Restrict {
                    target: RestrictTarget::Net {
                        address: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + a)),
                        mask: IpAddr::V4(Ipv4Addr::from_bits(masks[*m])),
                    },
                    flags: AccessFlags::WORDS[*flag].1,
                    ntpport: *ntpport,
                    origin: Origin::default(),
                })
                .collect();
            let from = Ipv4Addr::from_bits(0x0a00_0000 + host);
            let list = AccessList::build(&lines);
            prop_assert_eq!(list.lookup(SocketAddr::from((from, port))), naive(&lines, from, port));
        }
    }
}
