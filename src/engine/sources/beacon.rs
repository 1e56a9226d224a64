//! A manycast client: its beacons look for servers in a group, with a hop limit that grows from beacon to beacon. Each server that
//! answers becomes a client association of its own, with the options of the beacon's line.
//!
//! A beacon is a client's request, so the answers to it are samples already. It is only sent while fewer servers survive selection
//! than `tos minclock`: in ntpd also while there are fewer associations than `tos maxclock`, which is for ever in most networks.

use super::common::Common;
use super::exchange::{Departed, Requests};
use super::kind::{Begun, Behaviour, Making, Polled, Turn};
use crate::engine::timers::{Timer, Timers};
use crate::units::{Host, MonoTime, NTP_PORT, RefId, Seconds};
use crate::wire::Header;
use std::net::SocketAddr;

/// What only a manycast client has.
#[derive(Clone, Debug)]
pub struct Beacon {
    /// The last beacon, which several servers may answer.
    requests: Requests,
    sent: MonoTime,
    /// Beacons since the search began, which count along the table of hop limits.
    beacons: usize,
    /// Which entry of the table the last one had.
    entry: usize,
    /// Polls since the search began.
    polls: u32,
}

impl Beacon {
    /// One that has not been sent, with packets of this version.
    #[must_use]
    pub const fn new(version: u8) -> Self {
        Self { requests: Requests::new(version), sent: MonoTime::ZERO, beacons: 0, entry: 0, polls: 0 }
    }
}

impl Behaviour for Beacon {
    fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled {
        common.reach.polled();
        timers.set(Timer::Poll(common.id), turn.after(common.config.minpoll));
        self.polls = self.polls.saturating_add(1);
        if self.polls > turn.demand.restarts_after {
            // The network may have changed: what is near is looked for first.
            (self.polls, self.beacons) = (0, 0);
        }
        // Only the last beacon can be answered.
        self.requests = Requests::new(common.config.version);
        if !turn.demand.in_need {
            return Polled::default();
        }
        let first = common.config.ttl.and_then(|entry| usize::try_from(entry).ok()).unwrap_or_default();
        self.entry = (first + self.beacons).min(turn.demand.hop_limits.saturating_sub(1));
        self.beacons = self.beacons.saturating_add(1);
        self.sent = turn.now.mono;
        Polled { asks: true, ..Polled::default() }
    }

    fn request(&mut self, common: &Common, making: &Making) -> Option<Header> {
        let header = self.requests.make(common, making, common.config.minpoll);
        // By these a server sees whether its time is of use to us.
        let Header { leap, stratum, reference_id, .. } = making.ours;
        Some(Header { leap, stratum, reference_id, ..header })
    }

    fn sends_to(&self, common: &Common) -> Option<SocketAddr> {
        common.address.map(|group| group.at_port(NTP_PORT))
    }

    fn hop_limit(&self, _common: &Common) -> Option<usize> {
        Some(self.entry)
    }

    fn sent(&mut self, departed: Departed) -> Option<Seconds> {
        self.requests.sent(departed)
    }

    fn has_solicited(&self, _from: Host, header: &Header) -> bool {
        self.requests.awaits(header.origin)
    }

    fn begin(&mut self, _from: Host) -> Option<Begun> {
        Some(Begun { requests: self.requests.clone(), sent: self.sent })
    }

    fn describe(&self, common: &mut Common, _precision: i8) {
        common.header.refid = RefId::from_bytes(*b"ACST");
    }

    fn measures(&self) -> bool {
        false
    }

    fn is_polled(&self, common: &Common) -> bool {
        common.address.is_some()
    }
}
