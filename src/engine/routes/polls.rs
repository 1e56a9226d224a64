//! Polls that are due, and the end of `-q` when no server will respond any more.

use crate::engine::Engine;
use crate::engine::contract::{ExitReason, Interface, Now, Output, Tx};
use crate::engine::report::event::Event;
use crate::engine::sources::{Client, Demand, Making, OwnClock, Source, Turn};
use crate::engine::timers::Timer;
use crate::units::{AssocId, MonoTime, Seconds};
use crate::wire::event::PeerEvent;
use rand_chacha::rand_core::Rng;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// With `-q`, how long names may take to resolve, seconds.
const QUIT_PATIENCE: Seconds = Seconds::new(60.0);
/// With `-q`, how long broadcasts are waited for: two of 64 s, and the exchange that measures the way, seconds.
const BROADCAST_PATIENCE: Seconds = Seconds::new(150.0);
/// With `-q`, how long the response to the last packet of a burst may take, seconds.
const QUIT_RESPONSE: Seconds = Seconds::new(4.0);

impl Engine {
    /// Polls all sources that are due.
    pub(in crate::engine) fn poll_all(&mut self, now: Now) {
        let mut news = false;
        for id in self.sources.ids() {
            // No random number is drawn for those that are not due: what else happens moves no poll.
            if self.timers.is_due(Timer::Poll(id), now.mono) {
                news |= self.poll(now, id);
            }
        }
        if news {
            self.update_clock(now);
        }
    }

    /// Polls a source; true if the clock is to be updated, since the source is lost or its burst is over.
    fn poll(&mut self, now: Now, id: AssocId) -> bool {
        let Some(source) = self.sources.get(id) else { return false };
        let solicits = source.config().solicits();
        if source.gives_up() {
            self.look_again(now, id);
        }
        let demand = if solicits { self.demand() } else { Demand::default() };
        let turn = Turn { now, wanted: self.clock.poll(now.mono), jitter: self.chance(), demand };
        let floor = self.system.floor();
        let Some(source) = self.sources.get_mut(id) else { return false };
        let Some(polled) = source.poll(turn, floor, &mut self.timers) else { return false };
        if polled.lost {
            let peer = source.note_event(PeerEvent::Unreachable);
            self.event(Event::Unreachable(peer));
        }
        if polled.over || self.gives_way(id) {
            self.time_out(id);
            return polled.lost;
        }
        if let Some(host) = polled.solicits {
            self.event(Event::Soliciting(host));
        }
        if polled.looks_up {
            self.look_again(now, id);
        }
        if solicits {
            self.sources_changed();
        }
        if polled.asks && self.keys_before_poll(now, id) {
            self.send_request(now, id);
        }
        self.clock_polled(now, id, &polled);
        if let Some(measured) = polled.measured {
            self.measured(now, id, &measured, None);
            self.calibrate(id);
        }
        polled.lost || polled.spent
    }

    fn send_request(&mut self, now: Now, id: AssocId) {
        let (random, token, clock) = (self.rng.next_u64(), self.sources.next_request(), self.own_clock(now));
        let making = Making { clock, random, token, ours: self.system.header(now.mono) };
        let Some(source) = self.sources.get_mut(id) else { return };
        let Some(mut tx) = source.request(&making) else { return };
        let (hop_limit, length) = (source.hop_limit(), source.digest());
        if source.nts().is_some() {
            if !self.seal_request(id, &mut tx.data) {
                return;
            }
        } else if let Some(key) = source.config().key
            && tx.complete.is_none()
        {
            self.server.keys_mut().sign_as(key, length, &mut tx.data);
        }
        if tx.to.ip().is_multicast() {
            let entry = hop_limit.and_then(|entry| self.setup.config.hop_limits().get(entry));
            tx.hops = entry.copied();
            return self.send_to_group(&tx);
        }
        self.outbox.push(Output::Send(tx));
    }

    /// A packet for a group of IPv4 leaves from each address of ours, and one for a group of IPv6 from one address of each interface.
    fn send_to_group(&mut self, tx: &Tx) {
        let interfaces = self.server.interfaces();
        let v4 = interfaces.iter().map(|i| i.address).filter(|own| own.is_ipv4() && !own.is_loopback());
        let copies: Vec<IpAddr> = if tx.to.is_ipv4() { v4.collect() } else { one_of_each(interfaces) };
        for own in copies {
            self.outbox.push(Output::Send(Tx { from: Some(own), ..tx.clone() }));
        }
    }

    /// What our clock is, for an exchange of packets.
    pub(super) const fn own_clock(&self, now: Now) -> OwnClock {
        OwnClock { now, precision: self.system.precision(), steps: self.clock.steps() }
    }

    /// A sample did not fit: this source is polled again soon.
    pub(super) fn hasten(&mut self, id: AssocId) {
        if let Some(source) = self.sources.get_mut(id) {
            source.hasten(&mut self.timers);
        }
    }

    /// A sample does not fit, and the ones before did: all sources are polled again soon, which show whether one of them
    /// changed or our clock.
    pub(super) fn hasten_all(&mut self) {
        for source in self.sources.iter_mut() {
            source.hasten(&mut self.timers);
        }
    }

    /// With `-q`: when it is to be checked whether any server will still respond.
    fn quit_deadline(&self) -> Option<MonoTime> {
        if !self.setup.quit_after_set {
            return None;
        }
        if self.setup.config.uses_broadcasts() {
            return Some(self.started + BROADCAST_PATIENCE);
        }
        let clients = || self.sources.iter().filter_map(Source::as_client);
        let last = clients().filter_map(Client::last_poll).max().unwrap_or(self.started);
        let soliciting = self.sources.iter().any(Source::is_soliciting);
        // A reference clock may take a while until it has a fix.
        let reading = |s: &Source| s.as_reference().is_some() && !s.reach().is_reachable();
        let keyless = |s: &Source| s.nts().is_some_and(|nts| !nts.can_ask());
        let awaited = |s: &Source| s.is_bursting() || reading(s) || keyless(s);
        let waiting = self.names.any_waiting() || soliciting || self.sources.iter().any(awaited);
        Some(if waiting { self.started + QUIT_PATIENCE } else { last + QUIT_RESPONSE })
    }

    /// With `-q`: ends the daemon if no server responded and none will.
    pub(in crate::engine) fn quit_if_hopeless(&mut self, now: Now) {
        let unpolled =
            |s: &Source| s.is_polled() && s.as_client().is_some_and(|client| !client.has_started());
        // While a first poll is still to come, that is what is waited for.
        let deadline = self.quit_deadline().filter(|_| !self.sources.iter().any(unpolled));
        self.timers.put(Timer::Quit, deadline);
        if self.timers.is_due(Timer::Quit, now.mono) {
            self.exit(ExitReason::NoServer);
        }
    }
}

/// An IPv6 address of each interface: one that is valid beyond its link, if there is one.
fn one_of_each(interfaces: &[Interface]) -> Vec<IpAddr> {
    let mut chosen: BTreeMap<&str, Ipv6Addr> = BTreeMap::new();
    for interface in interfaces {
        if let IpAddr::V6(address) = interface.address
            && !address.is_loopback()
        {
            let of_interface = chosen.entry(&interface.name).or_insert(address);
            if of_interface.is_unicast_link_local() {
                *of_interface = address;
            }
        }
    }
    chosen.into_values().map(IpAddr::V6).collect()
}
