//! Datagrams that are no client's request: responses of our servers, control requests, the rest.

use crate::engine::Engine;
use crate::engine::auth::Authenticity;
use crate::engine::contract::{Now, Rx};
use crate::engine::estimator::Measurement;
use crate::engine::reject::Reject;
use crate::engine::report::event::{Event, Kiss};
use crate::engine::server::{Admitted, REPLY_MAX, Serving};
use crate::engine::sources::dispatch::{Stranger, stranger};
use crate::engine::sources::{Answer, Arrival, Exchange, Mac};
use crate::units::{AssocId, KeyId, Seconds};
use crate::wire::counter::Counter;
use crate::wire::event::PeerEvent;
use crate::wire::{Header, Mode};

/// An exchange that the other side holds no longer than this shows how finely our clock ticks, seconds.
const SHORT: f64 = 1.0;

impl Engine {
    pub(in crate::engine) fn datagram(&mut self, now: Now, rx: &Rx<'_>) {
        self.server.counters_mut().count(Counter::Received);
        let result = match rx.data.first().map(|first| Mode::from_bits(*first)) {
            Some(Mode::Control) => self.control(now, rx),
            Some(mode) => self.packet(now, rx, mode),
            None => Err(Reject::Format),
        };
        if let Err(reason) = result {
            self.server.counters_mut().reject(reason);
        }
    }

    /// A packet of a source, perhaps: found by address, port, and the table of which kind takes which mode.
    fn packet(&mut self, now: Now, rx: &Rx<'_>, mode: Mode) -> Result<(), Reject> {
        let origin = Header::origin_of(rx.data);
        if let Some(source) = self.sources.taking(rx.from, mode, origin) {
            let id = source.id();
            let admitted = if source.nts().is_some() {
                self.server.admitted_unsigned(&mut self.rng, rx)?
            } else {
                self.server.admitted(&mut self.rng, rx)?
            };
            return self.of_source(now, rx, &admitted, id);
        }
        match stranger(mode) {
            Stranger::Partner => self.partner(now, rx),
            Stranger::Request => self.beacon(now, rx),
            Stranger::Unasked => match self.sources.soliciting(rx.from, rx.data) {
                Some(by) => self.solicited(now, rx, by),
                // The access list and the MAC come first, whose fault the counters name.
                None => self.server.admitted(&mut self.rng, rx).and(Err(Reject::Unasked)),
            },
            Stranger::Broadcast => self.broadcast(now, rx),
            Stranger::Discard(reason) => Err(reason),
        }
    }

    /// Our server's response to a packet, which leaves now.
    pub(super) fn response(&mut self, now: Now, rx: &Rx<'_>, admitted: &Admitted) -> Result<Vec<u8>, Reject> {
        let mut reply = [0; REPLY_MAX];
        let ours = Serving { now, system: &self.system };
        let answer = self.server.respond(ours, &mut self.rng, rx, admitted, &mut reply)?;
        let length = self.server.seal(&answer, self.moment.wall, &mut reply);
        Ok(reply.get(..length).unwrap_or_default().to_vec())
    }

    /// A packet of this source, which the access list admits.
    pub(super) fn of_source(
        &mut self,
        now: Now,
        rx: &Rx<'_>,
        admitted: &Admitted,
        id: AssocId,
    ) -> Result<(), Reject> {
        let Admitted { header, flags, authenticity } = *admitted;
        let clock = self.own_clock(now);
        let Some(source) = self.sources.get_mut(id) else { return Err(Reject::Unasked) };
        self.server.observe(now, rx, flags);
        let mac = judged(source.config().key, authenticity);
        let failed_before = source.fails_authentication();
        let arrival = Arrival { clock, rx, header: &header, mac };
        let arrival = Arrival { mac: self.unseal(id, &arrival)?, ..arrival };
        let Some(source) = self.sources.get_mut(id) else { return Err(Reject::Unasked) };
        let received = match source.receive(&arrival, &mut self.timers) {
            Ok(received) => received,
            Err(reason) => {
                if reason == Reject::Auth && !failed_before {
                    let peer = source.note_event(PeerEvent::BadAuth);
                    self.event(Event::BadAuth(peer));
                }
                return Err(reason);
            }
        };
        self.server.counters_mut().count(Counter::Processed);
        match received.answer {
            Answer::Kissed(kiss) => {
                let peer = source.note_event(kiss.code());
                if kiss != Kiss::Rate || received.slower {
                    let poll = source.poll_exponent();
                    self.event(Event::KissObeyed(peer, kiss, poll));
                }
                if kiss != Kiss::Rate {
                    self.refused(id);
                }
                self.update_clock(now);
            }
            Answer::Measured(measured, exchange) => {
                let id = source.id();
                self.measured(now, id, &measured, Some(&exchange));
            }
            Answer::Heard(measured, stamps) => {
                let id = source.id();
                self.record_raw(now, id, &stamps);
                self.measured(now, id, &measured, None);
            }
        }
        Ok(())
    }

    /// A source was measured, by an `exchange` of packets if there was one: the source takes it, and the clock is updated.
    pub(super) fn measured(
        &mut self,
        now: Now,
        id: AssocId,
        measured: &Measurement,
        exchange: Option<&Exchange>,
    ) {
        let others_heard = self.sources.reachable().next().is_some();
        let elapsed = exchange.map_or(Seconds::ZERO, Exchange::elapsed);
        let held = exchange.map_or(Seconds::ZERO, Exchange::held);
        let free = self.clock.free_running(measured, elapsed, held);
        // Only short exchanges show that a clock ticks coarsely.
        if exchange.is_some() && held.get().abs() < SHORT {
            let (elapsed, slewed) = (elapsed.get(), (measured.delay() - free.delay()).get());
            let left = self.clock.precision_left(elapsed, elapsed - slewed, self.system.precision());
            self.system.set_precision(left);
        }
        let floor = self.system.floor();
        let Some(source) = self.sources.get_mut(id) else { return };
        let measures = source.measures();
        let taken = source.take_measurement(now.mono, measured, &free, floor, &mut self.timers);
        if taken.first {
            let peer = source.note_event(PeerEvent::Reachable);
            self.event(Event::Reachable(peer));
        }
        match (taken.was_alarmed, taken.alarmed) {
            (false, true) => self.hasten_all(),
            (true, true) => self.hasten(id),
            (_, false) => {}
        }
        if taken.first && measures && !others_heard {
            self.clock.resumed(now.mono);
        }
        if let Some(exchange) = exchange {
            self.record_raw(now, id, exchange);
        }
        self.record_peer(now, id);
        self.update_clock(now);
        if taken.alarmed {
            self.cover_doubt(now, measured);
        }
    }

    /// A sample does not fit. Where at least half of the sources have such samples, it may be our clock: then the error bound is
    /// no less than what the sample shows beyond its own uncertainty.
    fn cover_doubt(&mut self, now: Now, measured: &Measurement) {
        let sources = self.sources.reachable();
        let alarmed = sources.clone().filter(|s| s.estimator().alarmed()).count();
        if 2 * alarmed >= sources.count() {
            self.system.cover(now.mono, measured.offset.abs() - measured.delay() * 0.5);
        }
    }
}

/// A wrong MAC is worse than none, also where none is asked for (RFC 5905 section 9.2).
pub(super) fn judged(wanted: Option<KeyId>, found: Authenticity) -> Mac {
    let right = match (wanted, found) {
        (Some(key), found) => found == Authenticity::Verified(key),
        (None, found) => found != Authenticity::Failed,
    };
    if right { Mac::AsWanted } else { Mac::Wrong }
}
