//! A broadcast server: sends the time to a broadcast address or a group, and expects no answer.

use super::common::Common;
use super::kind::{Behaviour, Making, Polled, Turn};
use crate::config::model::Server;
use crate::engine::timers::{Timer, Timers};
use crate::units::{Host, Leap, NtpTimestamp, RefId};
use crate::wire::{Header, Mode, Version};
use std::net::SocketAddr;

/// What only a broadcast server has: nothing but the timestamp of its last packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Announcer {
    transmit: NtpTimestamp,
}

impl Announcer {
    /// What ntpq shows for a reference identifier: a broadcast address or a group.
    fn refid(address: Option<Host>) -> RefId {
        RefId::from_bytes(if address.is_some_and(|host| host.ip.is_multicast()) {
            *b"MCST"
        } else {
            *b"BCST"
        })
    }

    fn version(line: &Server) -> Version {
        Version::new(line.version).unwrap_or(Version::V4)
    }
}

impl Behaviour for Announcer {
    fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled {
        timers.set(Timer::Poll(common.id), turn.after(common.config.minpoll));
        Polled { asks: true, ..Polled::default() }
    }

    /// Nothing is sent while our clock is not synchronized.
    fn request(&mut self, common: &Common, making: &Making) -> Option<Header> {
        (making.ours.leap != Leap::Unsynchronised).then(|| Header {
            mode: Mode::Broadcast,
            version: Self::version(&common.config),
            poll: common.config.minpoll.get() as i8,
            ..making.ours
        })
    }

    fn sends_to(&self, common: &Common) -> Option<SocketAddr> {
        common.address.map(|host| host.at_port(self.port()))
    }

    fn hop_limit(&self, common: &Common) -> Option<usize> {
        usize::try_from(common.config.ttl?).ok()
    }

    fn sends_time(&self) -> bool {
        true
    }

    fn departs(&mut self, at: NtpTimestamp) -> NtpTimestamp {
        self.transmit = at;
        at
    }

    fn describe(&self, common: &mut Common, _precision: i8) {
        common.header.refid = Self::refid(common.address);
    }

    fn own_mode(&self) -> Mode {
        Mode::Broadcast
    }

    fn last_transmit(&self) -> NtpTimestamp {
        self.transmit
    }

    fn measures(&self) -> bool {
        false
    }

    fn is_polled(&self, common: &Common) -> bool {
        common.address.is_some()
    }
}
