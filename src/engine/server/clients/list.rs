//! Reading the client table, for mode 6's `mrulist` (RFC 9327 section 7.2).
//!
//! | field of the answer | of a [`Client`] |
//! |---|---|
//! | `addr.N` | [`Client::endpoint`] |
//! | `last.N`, `first.N` | `last`, `first`, as hexadecimal NTP timestamps |
//! | `ct.N` | `count` |
//! | `mv.N` | [`Client::mode_version`] |
//! | `rs.N` | [`Client::restrict_word`] |
//! | `dr.N` | `dropped` |
//!
//! The list goes from the oldest to the newest, because that end moves. A reader goes on where it
//! was with [`ClientTable::newer_than`]: it names the address and time of the last entry that it has; if
//! that client was heard again, it names the entry before, and so on.

use crate::engine::server::clients::{AccessFlags, Client, ClientTable};
use crate::units::NtpTimestamp;
use std::net::{IpAddr, SocketAddr};

/// Access flags and their bits in ntpd's restriction word, which ntpq reads.
const RESTRICT_BITS: [(AccessFlags, u16); 14] = [
    (AccessFlags::IGNORE, 0x0001),
    (AccessFlags::NOSERVE, 0x0002),
    (AccessFlags::NOTRUST, 0x0004),
    (AccessFlags::VERSION, 0x0008),
    (AccessFlags::NOPEER, 0x0010),
    (AccessFlags::LIMITED, 0x0020),
    (AccessFlags::NOQUERY, 0x0040),
    (AccessFlags::NOMODIFY, 0x0080),
    (AccessFlags::NOTRAP, 0x0100),
    (AccessFlags::LOWPRIOTRAP, 0x0200),
    (AccessFlags::KOD, 0x0400),
    (AccessFlags::MSSNTP, 0x0800),
    (AccessFlags::FLAKE, 0x1000),
    (AccessFlags::NOMRULIST, 0x2000),
];

/// Which entries are wanted; the default wants all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// `mincount`: at least so many packets.
    pub min_count: u32,
    /// `resall`: all these bits of the restriction word.
    pub all: u16,
    /// `resany`: one of these bits; 0 asks for none.
    pub any: u16,
}

impl Filter {
    /// Whether an entry is wanted.
    #[must_use]
    pub fn admits(&self, client: &Client) -> bool {
        let word = client.restrict_word();
        client.count >= self.min_count
            && word & self.all == self.all
            && (self.any == 0 || word & self.any != 0)
    }
}

impl Client {
    /// Address and port of the last packet.
    #[must_use]
    pub const fn endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Version and mode of the last packet as `mv`: version × 8 + mode.
    #[must_use]
    pub const fn mode_version(&self) -> u8 {
        self.first_byte & 0x3f
    }

    /// The flags of the last packet as ntpd's restriction word: `limited` (0x20) where it was
    /// limited, `kod` (0x400) where it got a kiss-o'-death.
    #[must_use]
    pub fn restrict_word(&self) -> u16 {
        RESTRICT_BITS
            .iter()
            .filter(|(flag, _)| self.flags.contains(*flag))
            .fold(0, |word, (_, bit)| word | bit)
    }
}

impl ClientTable {
    /// How many clients are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many can be remembered.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.store.depth()
    }

    /// Bytes that the full table takes.
    #[must_use]
    pub const fn memory_bound(&self) -> usize {
        crate::engine::server::clients::Store::memory(self.store.depth())
    }

    /// Whether clients are remembered at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// What became of packets and places.
    #[must_use]
    pub const fn tally(&self) -> crate::engine::server::clients::Tally {
        self.tally
    }

    /// The limits in force.
    #[must_use]
    pub const fn mru(&self) -> crate::engine::server::clients::Mru {
        self.mru
    }

    /// Which of our addresses a client's last packet came to.
    #[must_use]
    pub fn local_of(&self, client: &Client) -> Option<IpAddr> {
        self.locals.get(usize::from(client.local)).copied()
    }

    /// The entry of an address.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&Client> {
        self.store.get(self.store.find(address)?)
    }

    /// All clients, the one heard longest ago first.
    pub fn oldest_first(&self) -> impl Iterator<Item = &Client> {
        self.from(self.store.oldest())
    }

    /// The clients heard after this one, whose last packet must still be that of `last`: `None` if it
    /// was heard again since, or forgotten.
    #[must_use]
    pub fn newer_than(&self, address: IpAddr, last: NtpTimestamp) -> Option<impl Iterator<Item = &Client>> {
        let id = self.store.find(address)?;
        (self.store.get(id)?.last == last).then(|| self.from(self.store.newer(id)))
    }

    fn from(&self, first: Option<crate::engine::server::clients::ClientId>) -> impl Iterator<Item = &Client> {
        std::iter::successors(first, |id| self.store.newer(*id)).filter_map(|id| self.store.get(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Config;
    use crate::engine::server::clients::{Heard, Now};
    use crate::units::{MonoTime, Seconds};

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let mut table = ClientTable::new(&Config::default(), [1; 16]);
        let hear = |table: &mut ClientTable, host: u8, second: u32| {
            let by = Seconds::new(f64::from(second));
            let wall = NtpTimestamp::from_unix(1_700_000_000, 0).offset(by);
            let from = SocketAddr::from(([10, 0, 0, host], 123));
            let heard = Heard {
                from,
                to: IpAddr::from([10, 255, 0, 1]),
                received: wall,
                first_byte: 0xe3,
                flags: AccessFlags::NOQUERY,
            };
            table.judge(Now { mono: MonoTime::ZERO + by, wall }, &heard);
            wall
        };
        let last: Vec<NtpTimestamp> = (1..=5).map(|i| hear(&mut table, i, u32::from(i) * 100)).collect();
        let hosts = |clients: Vec<&Client>| -> Vec<String> {
            clients.iter().map(|c| c.address.to_string()).collect()
        };
        assert_eq!(hosts(table.oldest_first().take(2).collect()), ["10.0.0.1", "10.0.0.2"]);
        let second: IpAddr = [10, 0, 0, 2].into();
        let rest = table.newer_than(second, last[1]).unwrap().collect();
        assert_eq!(hosts(rest), ["10.0.0.3", "10.0.0.4", "10.0.0.5"]);
        hear(&mut table, 2, 600);
        assert!(table.newer_than(second, last[1]).is_none());
        let client = table.find(second).unwrap();
        assert_eq!((client.count, client.mode_version(), client.restrict_word()), (2, 0x23, 0x40));
        let filter = Filter { min_count: 2, ..Filter::default() };
        assert_eq!(table.oldest_first().filter(|c| filter.admits(c)).count(), 1);
        assert!(
            !Filter { any: 0x20, ..filter }.admits(client) && Filter { all: 0x40, ..filter }.admits(client)
        );
    }
}
