//! Why a packet is not used, and what is counted of packets.

use crate::wire::counter::Counter;

/// Why a datagram was not used. Counted, never logged: a flood must not fill the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// Not an NTP packet: too short, unknown version, bad extension fields, oversize.
    Format,
    /// Denied by the access list.
    Restricted,
    /// The source address or port is impossible: port below 123, multicast, one of our own addresses.
    Source,
    /// Rate limited.
    Limited,
    /// A mode that is not served.
    Mode,
    /// Not from a server that was polled.
    Unasked,
    /// The origin timestamp is not ours.
    Bogus,
    /// The same packet again.
    Duplicate,
    /// A broadcast that comes too early, is older than the last one, or has another interval.
    Untimely,
    /// MAC missing or invalid.
    Auth,
    /// The server is not synchronized.
    Unsynchronised,
    /// Header values out of range.
    Header,
}

/// The counters behind ntpq's `sysstats`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counters([u64; Counter::COUNT]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::COUNT])
    }
}

impl Counters {
    /// Counts one packet.
    pub const fn count(&mut self, counter: Counter) {
        self.0[counter as usize] += 1;
    }

    /// Counts several.
    pub const fn count_more(&mut self, counter: Counter, more: u64) {
        self.0[counter as usize] += more;
    }

    /// How many packets were counted.
    #[must_use]
    pub const fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// All of them, for another process.
    #[must_use]
    pub const fn words(&self) -> [u64; Counter::COUNT] {
        self.0
    }

    /// Adds what another process has counted.
    pub fn add(&mut self, more: &[u64; Counter::COUNT]) {
        for (count, more) in self.0.iter_mut().zip(more) {
            *count = count.wrapping_add(*more);
        }
    }

    /// Counts a packet of version 1 by its mode.
    pub fn count_version_1(&mut self, data: &[u8]) {
        self.count(Counter::Version1);
        match data.first().map(|first| first & 7) {
            Some(0) => self.count(Counter::Version1Zero),
            Some(1 | 2) => self.count(Counter::Version1Symmetric),
            Some(3) => self.count(Counter::Version1Client),
            _ => {}
        }
    }

    /// Counts a rejected datagram.
    pub const fn reject(&mut self, reason: Reject) {
        self.count(match reason {
            Reject::Format => Counter::BadFormat,
            Reject::Auth => Counter::BadAuth,
            Reject::Restricted | Reject::Source => Counter::Restricted,
            Reject::Limited => Counter::Limited,
            Reject::Mode | Reject::Unasked | Reject::Bogus | Reject::Duplicate | Reject::Untimely => {
                Counter::Declined
            }
            // A response to our request was processed, whatever its header says: the association counts why.
            Reject::Header | Reject::Unsynchronised => Counter::Processed,
        });
    }
}
