//! The undisciplined local clock, 127.127.1.U: this machine's clock, which is right by definition. It is selected when no other
//! source is there. It measures nothing, so nothing is estimated from it.

use super::common::Common;
use super::kind::{Behaviour, Polled, Turn};
use crate::engine::estimator::Measurement;
use crate::engine::timers::{Timer, Timers};
use crate::units::{Host, Leap, RefId, Seconds, Stratum};
use std::net::{IpAddr, Ipv4Addr};

/// Stratum without `fudge` (4.2.6).
const STRATUM: Stratum = Stratum::new(5);
/// Root dispersion, as ntpd gives it.
const DISPERSION: Seconds = Seconds::new(0.010);
/// Its clock source in the system status word: a local clock (RFC 9327).
const CLOCK_SOURCE: u8 = 5;
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

    /// Its address, 127.127.1.U.
    #[must_use]
    pub fn address(self) -> Host {
        IpAddr::V4(Ipv4Addr::new(127, 127, 1, self.unit)).into()
    }

    /// Stratum and reference identifier, by its `fudge` line.
    fn fudge(self, common: &mut Common) {
        common.header.stratum = common.config.fudge.stratum.unwrap_or(STRATUM);
        common.header.refid = common.config.fudge.refid.unwrap_or(RefId::LOCL);
    }
}

impl Behaviour for Local {
    /// It always responds.
    fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled {
        let now = turn.now.mono;
        common.reach.polled();
        common.reach.responded(now, turn.now.wall);
        common.tally.sent += 1;
        common.tally.received += 1;
        timers.set(Timer::Poll(common.id), now + POLL);
        Polled {
            measured: Some(Measurement::one_way(now, Seconds::ZERO, Seconds::ZERO)),
            ..Polled::default()
        }
    }

    fn clock_source(&self) -> u8 {
        CLOCK_SOURCE
    }

    fn describe(&self, common: &mut Common, precision: i8) {
        common.local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        common.header.leap = Leap::None;
        common.header.precision = precision;
        common.header.root_dispersion = DISPERSION;
        self.fudge(common);
    }

    /// It is our clock.
    fn measures(&self) -> bool {
        false
    }

    fn reconfigure(&mut self, common: &mut Common) {
        self.fudge(common);
    }

    /// It is right by definition, from its first poll on.
    fn dispersion_so_far(&self, _common: &Common) -> Seconds {
        Seconds::ZERO
    }
}
