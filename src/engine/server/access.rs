//! The access list: which restrict entry applies to a client (ntp_acc(5)).
//!
//! Two lists, one a family, each beginning with a default entry without flags. Entries with the
//! same address, mask and `ntpport` are one, their flags OR-ed. They are sorted by descending
//! address, then mask, `ntpport` first; the first match wins, which for contiguous masks is the
//! longest prefix. The flags of other matching entries do not count. `index.rs` finds it fast.

mod added;
mod index;

use self::added::Added;
use self::index::{FromPort, Index};
use crate::config::model::{AccessFlags, Family, Origin, Restrict, RestrictTarget};
use crate::units::NTP_PORT;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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
    hits: u64,
}

/// Where an entry comes from, for those that are replaced as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum EntryKind {
    Configured,
    Source,
    OwnAddress,
}

/// What descends along a list, field by field: of entries for the same packets, what the daemon adds comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Rank {
    address: u128,
    mask: u128,
    ntpport: bool,
    kind: EntryKind,
}

impl Entry {
    const fn rank(&self) -> Rank {
        Rank { address: self.address, mask: self.mask, ntpport: self.ntpport, kind: self.kind }
    }
}

/// The entries of a family, by descending rank, and where to find them.
#[derive(Clone, Debug)]
struct OneFamily {
    entries: Vec<Entry>,
    index: Index,
    /// An address with every bit set.
    width: u128,
}

impl OneFamily {
    /// Puts entries in order and makes one of those with the same rank.
    fn new(mut entries: Vec<Entry>, width: u128) -> Self {
        entries.sort_by_key(|e| std::cmp::Reverse(e.rank()));
        entries.dedup_by(|later, kept| {
            let same = later.rank() == kept.rank();
            if same {
                kept.flags = kept.flags.union(later.flags);
                kept.origins.append(&mut later.origins);
            }
            same
        });
        debug_assert!(
            entries.is_sorted_by(|one, next| one.rank() > next.rank()),
            "an access list goes from the most specific entry to the least, each once"
        );
        debug_assert!(
            entries.iter().all(|e| e.address & !e.mask == 0),
            "an entry's address has no bits beside its mask"
        );
        let index = Index::new(&entries, width);
        Self { entries, index, width }
    }

    fn find(&self, address: u128, port: u16) -> Option<&Entry> {
        let found = self.index.find(address, FromPort::of(port))?;
        let entry = self.entries.get(found);
        debug_assert!(
            entry.is_some_and(|e| e.address == address & e.mask && (!e.ntpport || port == NTP_PORT)),
            "the entry that is found is one that matches: {entry:?}"
        );
        entry
    }

    /// The list without the entries of one kind and with `added`.
    fn replace(&mut self, kind: EntryKind, added: Vec<Entry>) {
        if added.is_empty() && self.entries.iter().all(|e| e.kind != kind) {
            return;
        }
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|e| e.kind != kind);
        entries.extend(added);
        *self = Self::new(entries, self.width);
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
#[derive(Clone, Debug)]
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
    /// The lines that add flags to whatever entry applies.
    pub added: Vec<&'a Origin>,
}

/// The access list of both families.
#[derive(Clone, Debug)]
pub struct AccessList {
    v4: OneFamily,
    v6: OneFamily,
    added: Added,
    /// Lines with names, and where those lead.
    named: Vec<(Restrict, Vec<IpAddr>)>,
    source: Option<(AccessFlags, bool, Origin)>,
}

impl AccessList {
    /// The list that these lines make. Names wait for [`AccessList::insert_resolved`].
    #[must_use]
    pub fn build(lines: &[Restrict]) -> Self {
        let default = Entry {
            address: 0,
            mask: 0,
            ntpport: false,
            flags: AccessFlags::NONE,
            origins: Vec::new(),
            kind: EntryKind::Configured,
            hits: 0,
        };
        let (mut v4, mut v6) = (vec![default.clone()], vec![default]);
        let mut added = Added::default();
        let mut source = None;
        for line in lines {
            match &line.target {
                RestrictTarget::Default(family) => {
                    let any4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                    let any6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
                    if *family != Family::V6 {
                        v4.push(configured(any4, any4, line));
                    }
                    if *family != Family::V4 {
                        v6.push(configured(any6, any6, line));
                    }
                }
                RestrictTarget::Net { address, mask } => {
                    let list = if address.is_ipv4() { &mut v4 } else { &mut v6 };
                    list.push(configured(*address, *mask, line));
                }
                RestrictTarget::Adds { address, mask } => added.insert(*address, *mask, line),
                RestrictTarget::Name(..) | RestrictTarget::Around { .. } => {}
                RestrictTarget::Source => source = Some((line.flags, line.ntpport, line.origin.clone())),
            }
        }
        let (v4, v6) = (OneFamily::new(v4, u128::from(u32::MAX)), OneFamily::new(v6, u128::MAX));
        debug_assert!(
            [&v4, &v6].iter().all(|list| list.entries.last().is_some_and(|e| e.mask == 0 && !e.ntpport)),
            "an access list ends with the entry that matches every client"
        );
        Self { v4, v6, added, named: Vec::new(), source }
    }

    /// Adds the entry of a line with a name to those of `lines`, now that its addresses are known, in place of
    /// what they were before.
    pub fn insert_resolved(&mut self, lines: &[Restrict], line: &Restrict, addresses: &[IpAddr]) {
        if addresses.is_empty() {
            return;
        }
        self.named.retain(|(known, _)| !is_same(known, line));
        self.named.push((line.clone(), addresses.to_vec()));
        let mut fresh = Self::build(lines);
        fresh.add_names(std::mem::take(&mut self.named));
        for (new, old) in [(&mut fresh.v4, &self.v4), (&mut fresh.v6, &self.v6)] {
            let own = old.entries.iter().filter(|e| e.kind != EntryKind::Configured);
            let entries = new.entries.iter().chain(own).cloned().collect();
            *new = OneFamily::new(entries, new.width);
        }
        fresh.carry_hits(self);
        *self = fresh;
    }

    /// Takes over the addresses of names that `old` knows, as far as the new lines have them: until they are looked
    /// up again, no client gets more access.
    pub fn carry_names(&mut self, old: &Self, lines: &[Restrict]) {
        let stays = |(known, _): &&(Restrict, Vec<IpAddr>)| lines.iter().any(|line| is_same(known, line));
        self.add_names(old.named.iter().filter(stays).cloned().collect());
    }

    fn add_names(&mut self, named: Vec<(Restrict, Vec<IpAddr>)>) {
        if named.is_empty() {
            return;
        }
        for (line, addresses) in &named {
            let Some((address, mask)) = named_net(&line.target, addresses) else { continue };
            let list = if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
            list.entries.push(configured(address, mask, line));
        }
        for list in [&mut self.v4, &mut self.v6] {
            *list = OneFamily::new(std::mem::take(&mut list.entries), list.width);
        }
        self.named.extend(named);
    }

    /// Our own addresses: packets from them with port 123 are our own, gone astray or forged.
    pub fn set_own_addresses(&mut self, addresses: &[IpAddr]) {
        let own = |address: &IpAddr| Entry {
            ntpport: true,
            flags: AccessFlags::IGNORE,
            ..of_host(*address, EntryKind::OwnAddress)
        };
        self.replace(EntryKind::OwnAddress, addresses, own);
    }

    /// Our servers: each gets a host entry with the flags of `restrict source`, where there is such
    /// a line and no entry for that host.
    pub fn set_sources(&mut self, addresses: &[IpAddr]) {
        let Some((flags, ntpport, origin)) = self.source.clone() else { return };
        let free: Vec<IpAddr> = addresses.iter().copied().filter(|a| !self.has_host(*a)).collect();
        let source = |address: &IpAddr| Entry {
            ntpport,
            flags,
            origins: vec![origin.clone()],
            ..of_host(*address, EntryKind::Source)
        };
        self.replace(EntryKind::Source, &free, source);
    }

    /// Whether a line is about this very host, as a server: with `ntpport` or without.
    fn has_host(&self, address: IpAddr) -> bool {
        let entries = &self.family(address).entries;
        [true, false].iter().any(|ntpport| {
            let (address, mask, kind) = (widen(address), widen(full_mask(address)), EntryKind::Configured);
            let wanted = Rank { address, mask, ntpport: *ntpport, kind };
            entries.binary_search_by(|e| wanted.cmp(&e.rank())).is_ok()
        })
    }

    fn replace(&mut self, kind: EntryKind, addresses: &[IpAddr], entry: impl Fn(&IpAddr) -> Entry) {
        let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|a| a.is_ipv4());
        self.v4.replace(kind, v4.iter().map(&entry).collect());
        self.v6.replace(kind, v6.iter().map(&entry).collect());
    }

    /// The flags for a packet from `from`. What is no address of a host sends nothing, so it is ignored.
    #[must_use]
    pub fn lookup(&self, from: SocketAddr) -> AccessFlags {
        if sends_nothing(from.ip()) {
            return AccessFlags::IGNORE;
        }
        self.find(from).map_or(AccessFlags::NONE, |e| e.flags).union(self.added.flags(from))
    }

    /// As [`AccessList::lookup`], and counts for ntpq's `reslist`.
    pub fn admit(&mut self, from: SocketAddr) -> AccessFlags {
        if sends_nothing(from.ip()) {
            return AccessFlags::IGNORE;
        }
        let list = if from.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let found = list.index.find(widen(from.ip()), FromPort::of(from.port()));
        let flags = found.and_then(|at| list.entries.get_mut(at)).map_or(AccessFlags::NONE, |entry| {
            entry.hits += 1;
            entry.flags
        });
        flags.union(self.added.flags(from))
    }

    /// The entry for a packet from `from`, with the lines that made it.
    #[must_use]
    pub fn explain(&self, from: SocketAddr) -> Match<'_> {
        let unspecified = narrow(0, from.ip());
        let mut found = self.find(from).map_or(
            Match {
                flags: AccessFlags::NONE,
                address: unspecified,
                mask: unspecified,
                ntpport: false,
                origins: &[],
                added: Vec::new(),
            },
            |e| Match {
                flags: e.flags,
                address: narrow(e.address, from.ip()),
                mask: narrow(e.mask, from.ip()),
                ntpport: e.ntpport,
                origins: &e.origins,
                added: Vec::new(),
            },
        );
        found.flags = found.flags.union(self.added.flags(from));
        found.added = self.added.origins(from);
        found
    }

    /// All entries as they are looked through: IPv4, then IPv6. What only adds flags is not among them.
    pub fn list(&self) -> impl Iterator<Item = Listed> {
        let v4 = self.v4.entries.iter().map(|e| (e, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let v6 = self.v6.entries.iter().map(|e| (e, IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        v4.chain(v6).map(|(e, family)| Listed {
            address: narrow(e.address, family),
            mask: narrow(e.mask, family),
            ntpport: e.ntpport,
            own: e.kind == EntryKind::OwnAddress,
            flags: e.flags,
            hits: e.hits,
        })
    }

    /// Continues the counters of `old`, which this list replaces.
    pub fn carry_hits(&mut self, old: &Self) {
        for (new, old) in [(&mut self.v4, &old.v4), (&mut self.v6, &old.v6)] {
            for entry in &mut new.entries {
                let found = old.entries.binary_search_by(|other| entry.rank().cmp(&other.rank()));
                if let Some(same) = found.ok().and_then(|at| old.entries.get(at)) {
                    entry.hits = same.hits;
                }
            }
        }
    }

    fn find(&self, from: SocketAddr) -> Option<&Entry> {
        self.family(from.ip()).find(widen(from.ip()), from.port())
    }

    const fn family(&self, address: IpAddr) -> &OneFamily {
        if address.is_ipv4() { &self.v4 } else { &self.v6 }
    }
}

/// Whether no host has this address: a group's, the unspecified one, or an IPv4 address within IPv6, which no network carries.
fn sends_nothing(address: IpAddr) -> bool {
    let within_v6 = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    address.is_multicast() || address.is_unspecified() || within_v6
}

/// Whether two lines say the same, wherever they stand.
fn is_same(one: &Restrict, other: &Restrict) -> bool {
    (&one.target, one.flags, one.ntpport) == (&other.target, other.flags, other.ntpport)
}

/// The address and mask of a line with a name: ntpd takes the first address. Of those of a line with a mask it is
/// the first of the mask's family.
fn named_net(target: &RestrictTarget, addresses: &[IpAddr]) -> Option<(IpAddr, IpAddr)> {
    let first = *addresses.first()?;
    Some(match target {
        RestrictTarget::Around { mask, .. } => {
            let fitting = addresses.iter().find(|address| address.is_ipv4() == mask.is_ipv4());
            // ntpd finds no bits in a mask of the other family.
            fitting.map_or((first, narrow(0, first)), |address| (*address, *mask))
        }
        _ => (first, full_mask(first)),
    })
}

/// The entry that a line makes for these addresses.
fn configured(address: IpAddr, mask: IpAddr, line: &Restrict) -> Entry {
    let mask = widen(mask);
    Entry {
        address: widen(address) & mask,
        mask,
        ntpport: line.ntpport,
        flags: line.flags,
        origins: vec![line.origin.clone()],
        kind: EntryKind::Configured,
        hits: 0,
    }
}

/// The entry of a single host, from any port and without flags.
fn of_host(address: IpAddr, kind: EntryKind) -> Entry {
    Entry {
        address: widen(address),
        mask: widen(full_mask(address)),
        ntpport: false,
        flags: AccessFlags::default(),
        origins: Vec::new(),
        kind,
        hits: 0,
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
    fn names_keep_their_entries_when_the_lines_are_read_again_and_follow_their_addresses() {
        let named = |flags, line| Restrict {
            target: RestrictTarget::Name("bad.example".to_owned(), Family::Any),
            flags,
            ntpport: false,
            origin: Origin { line, ..Origin::default() },
        };
        let lines = [named(AccessFlags::IGNORE, 1), default(Family::Any, AccessFlags::NOMODIFY, 2)];
        let mut list = AccessList::build(&lines);
        list.set_own_addresses(&["10.0.0.5".parse().unwrap()]);
        list.insert_resolved(&lines, &lines[0], &["10.0.0.1".parse().unwrap()]);
        assert_eq!(list.admit(from("10.0.0.1:5")), AccessFlags::IGNORE);
        assert_eq!(list.lookup(from("10.0.0.5:123")), AccessFlags::IGNORE);
        // Read again, on another line, before the name is looked up again.
        let again = [named(AccessFlags::IGNORE, 7)];
        let mut new = AccessList::build(&again);
        new.carry_names(&list, &again);
        new.carry_hits(&list);
        assert_eq!(new.lookup(from("10.0.0.1:5")), AccessFlags::IGNORE);
        assert_eq!(
            new.list().find(|entry| entry.hits == 1).map(|entry| entry.flags),
            Some(AccessFlags::IGNORE)
        );
        new.insert_resolved(&again, &again[0], &["10.0.0.2".parse().unwrap()]);
        assert_eq!(new.lookup(from("10.0.0.1:5")), AccessFlags::NONE);
        assert_eq!(new.lookup(from("10.0.0.2:5")), AccessFlags::IGNORE);
        // The line is gone, or says something else.
        for lines in [vec![], vec![named(AccessFlags::NOQUERY, 1)]] {
            let mut other = AccessList::build(&lines);
            other.carry_names(&new, &lines);
            assert_eq!(other.lookup(from("10.0.0.2:5")), AccessFlags::NONE);
        }
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

    /// The rule as in the manual: of all the entries that match, the one that sorts last
    /// ascending; written without any of the code above.
    fn naive(lines: &[Restrict], from: IpAddr, port: u16) -> AccessFlags {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(a) => u128::from(a.to_bits()),
            IpAddr::V6(a) => a.to_bits(),
        };
        let mut best: Option<(u128, u128, bool)> = None;
        let rows: Vec<((u128, u128, bool), AccessFlags)> = lines
            .iter()
            .filter_map(|l| match l.target {
                RestrictTarget::Net { address, mask } if address.is_ipv4() == from.is_ipv4() => {
                    Some(((bits(address) & bits(mask), bits(mask), l.ntpport), l.flags))
                }
                _ => None,
            })
            .chain([((0, 0, false), AccessFlags::NONE)])
            .collect();
        for ((address, mask, ntpport), _) in &rows {
            if bits(from) & mask == *address && (!ntpport || port == 123) {
                best = best.max(Some((*address, *mask, *ntpport)));
            }
        }
        rows.iter().filter(|r| Some(r.0) == best).fold(AccessFlags::NONE, |sum, r| sum.union(r.1))
    }

    /// Few addresses, at both ends of the address space and in between, and few masks, some of them no
    /// prefixes, so that entries meet.
    fn few_addresses(v6: bool) -> impl Strategy<Value = IpAddr> {
        let base = prop::sample::select(vec![0u32, 0x0a00_0000, 0xffff_fff0]);
        (base, 0u32..16).prop_map(move |(base, low)| {
            let bits = base + low;
            if v6 {
                // The same, at both ends of 128 bits.
                let high = if base == 0xffff_fff0 { u128::MAX - 0xffff_ffff } else { 0 };
                IpAddr::V6(Ipv6Addr::from_bits(high | u128::from(bits)))
            } else {
                IpAddr::V4(Ipv4Addr::from_bits(bits))
            }
        })
    }

    fn few_masks(v6: bool) -> impl Strategy<Value = IpAddr> {
        let masks = vec![
            0u32,
            0x8000_0000,
            0xff00_0000,
            0xffff_fff0,
            0xffff_fff8,
            0xffff_fffe,
            0xffff_ffff,
            0xffff_fff5,
            3,
            0xff00_000f,
        ];
        prop::sample::select(masks).prop_map(move |mask| {
            if v6 {
                // Prefixes stay prefixes, and the others stay what they are.
                IpAddr::V6(Ipv6Addr::from_bits(if mask == 0 { 0 } else { !u128::from(!mask) }))
            } else {
                IpAddr::V4(Ipv4Addr::from_bits(mask))
            }
        })
    }

    fn any_lines(v6: bool) -> impl Strategy<Value = Vec<Restrict>> {
        let line = (few_addresses(v6), few_masks(v6), any::<bool>(), 0usize..15);
        let line = line.prop_map(|(address, mask, ntpport, flag)| Restrict {
            target: RestrictTarget::Net { address, mask },
            flags: AccessFlags::NAMES[flag].1,
            ntpport,
            origin: Origin::default(),
        });
        prop::collection::vec(line, 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_the_naive_rule(
            (lines, hosts) in any::<bool>().prop_flat_map(|v6| {
                (any_lines(v6), prop::collection::vec(few_addresses(v6), 8))
            })
        ) {
            let list = AccessList::build(&lines);
            for host in hosts {
                for port in [123, 40_000] {
                    // Not `lookup`: the end of IPv6 is multicast.
                    let found = list.explain(SocketAddr::from((host, port))).flags;
                    prop_assert_eq!(found, naive(&lines, host, port), "{} port {}", host, port);
                }
            }
        }

        #[test]
        fn our_own_addresses_come_and_go_and_leave_the_rest_as_it_was(
            lines in any_lines(false), own in prop::collection::vec(few_addresses(false), 0..6), host in few_addresses(false)
        ) {
            prop_assume!(!sends_nothing(host));
            let mut list = AccessList::build(&lines);
            list.set_own_addresses(&own);
            let ours = own.contains(&host);
            let expected = if ours { AccessFlags::IGNORE } else { naive(&lines, host, 123) };
            prop_assert_eq!(list.lookup(SocketAddr::from((host, 123))), expected);
            prop_assert_eq!(list.lookup(SocketAddr::from((host, 5))), naive(&lines, host, 5));
            list.set_own_addresses(&[]);
            prop_assert_eq!(list.lookup(SocketAddr::from((host, 123))), naive(&lines, host, 123));
        }
    }
}
