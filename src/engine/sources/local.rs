//! The undisciplined local clock, 127.127.1.U: this machine's clock, which is right by definition. It is selected when no other
//! source is there, and tells nothing of the clock, so nothing is estimated from it.

use super::common::Common;
use super::source::Source;
use crate::engine::contract::Now;
use crate::engine::estimator::Measurement;
use crate::engine::timers::{Timer, Timers};
use crate::units::{Host, Leap, NTP_PORT, RefId, Seconds, Stratum};
use crate::wire::Mode;
use std::net::{IpAddr, Ipv4Addr};

/// Stratum without `fudge` (4.2.6).
const STRATUM: Stratum = Stratum::new(5);
/// Root dispersion, as ntpd gives it.
const DISPERSION: Seconds = Seconds::new(0.010);
/// Poll interval, seconds.
const POLL: Seconds = Seconds::new(64.0);

/// The local clock.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    unit: u8,
}

impl Local {
    /// The local clock of this unit.
    #[must_use]
    pub const fn new(unit: u8) -> Self {
        Self { unit }
    }

    /// Its unit, as `LOCAL(unit)` shows it.
    #[must_use]
    pub const fn unit(self) -> u8 {
        self.unit
    }

    /// Its address, 127.127.1.U.
    #[must_use]
    pub fn address(self) -> Host {
        IpAddr::V4(Ipv4Addr::new(127, 127, 1, self.unit)).into()
    }

    pub(super) const fn port(self) -> u16 {
        NTP_PORT
    }

    pub(super) const fn own_mode(self) -> Mode {
        Mode::Client
    }

    pub(super) const fn peer_mode(self) -> Mode {
        Mode::Server
    }

    /// What it says of itself.
    pub(super) fn describe(self, common: &mut Common, precision: i8) {
        common.local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        common.header.leap = Leap::None;
        common.header.precision = precision;
        common.header.root_dispersion = DISPERSION;
        self.fudge(common);
    }

    /// Stratum and reference identifier, by its `fudge` line.
    pub(super) fn fudge(self, common: &mut Common) {
        common.header.stratum = common.config.fudge.stratum.unwrap_or(STRATUM);
        common.header.refid = common.config.fudge.refid.unwrap_or(RefId::LOCL);
    }
}

impl Source {
    /// Polls the local clock, which always responds; `floor` is the least jitter. True if that was the first time.
    pub fn poll_local(&mut self, now: Now, floor: Seconds, timers: &mut Timers) -> bool {
        debug_assert!(self.local_unit().is_some(), "another source has packets to wait for");
        let common = &mut self.common;
        common.reach.polled();
        let (first, now, received) = (common.reach.measured(now.mono), now.mono, now.wall);
        common.reach.responded(now, received);
        common.tally.sent += 1;
        common.tally.received += 1;
        timers.set(Timer::Poll(common.id), now + POLL);
        common.note_measurement(&Measurement::one_way(now, Seconds::ZERO, Seconds::ZERO), floor);
        first
    }
}
