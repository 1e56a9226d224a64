//! A broadcast client: hears a broadcast server. A short exchange of packets with it (the volley) shows how long the way is; from then
//! on the server's packets are enough, and nothing is sent.
//!
//! When broadcasts jump, the way is measured again. If the round trip has changed by as much as they are later, or more, it is the way that
//! has changed: the server's time and our clock go on, and show by how much each direction has.
//!
//! A broadcast answers nothing that we have sent, so nothing in it shows that it is no replay. Only its code, the order of its
//! timestamps and the time at which it comes do.

use super::common::{Common, flash_of};
use super::exchange::{Answer, Arrival, Departed, Requests};
use super::kind::{Behaviour, Making, Polled, Turn};
use super::{Mac, Received};
use crate::engine::estimator::Measurement;
use crate::engine::reject::Reject;
use crate::engine::timers::{Timer, Timers};
use crate::units::{Host, MonoTime, NtpTimestamp, PollExponent, Seconds};
use crate::wire::event::flash;
use crate::wire::exchange::Exchange;
use crate::wire::kiss::Kiss;
use crate::wire::{Header, Mode};

/// Exchanges of a volley.
const VOLLEY: usize = 6;
/// Requests of a volley, at most; without any response one goes out in each broadcast interval from then on.
const VOLLEY_MOST: u8 = 9;
/// Spacing of a volley, seconds.
const VOLLEY_SPACING: Seconds = Seconds::new(2.0);
/// Broadcasts after which the way may be measured again.
const VOLLEY_AGAIN: u32 = 4;
/// A broadcast comes no earlier than this before its interval is over.
const EARLY: Seconds = Seconds::new(1.0);
/// After so many intervals without a broadcast that could be used, one whose timestamp is older than the last is used: the server was
/// stepped back.
const OLDER_ALLOWED: f64 = 8.0;
/// Intervals without a broadcast after which the association ends, beside the first one and a half.
const LISTENER_ENDS: u32 = 15;
/// Two broadcasts that are off by the same within this part have jumped.
const ALIKE: f64 = 0.25;
/// So much of the mean of the broadcasts' offsets is the newest.
const NEWEST: f64 = 0.125;
/// So long after the last broadcast, in intervals, the next one is missing.
const MISSING: f64 = 1.5;

/// How long broadcasts travel.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Both ways together: the shortest round trip of the volley.
    delay: Seconds,
    /// The median round trip. Broadcasts wait in queues as the packets of the volley do, and their mean is what is followed.
    typical: Seconds,
    /// How far the round trips were apart.
    spread: Seconds,
    /// What a broadcast takes beyond half of the median round trip, as far as that is known.
    lean: Seconds,
}

impl Way {
    /// How long a broadcast travels.
    fn one_way(&self) -> Seconds {
        self.typical * 0.5 + self.lean
    }

    /// Whether the round trips of a later volley are others than by chance.
    fn is_other(&self, later: &Self) -> bool {
        (later.typical - self.typical).abs() > self.spread + later.spread
    }
}

/// An exchange of packets that measures the way.
#[derive(Clone, Copy, Debug, Default)]
struct Volley {
    sent: u8,
    answered: usize,
    /// The round trips, shortest first.
    delays: [Seconds; VOLLEY],
    /// By how much the broadcasts before it jumped, if they did.
    jump: Option<Seconds>,
}

impl Volley {
    fn answered(&mut self, delay: Seconds) {
        if let Some(free) = self.delays.get_mut(self.answered) {
            *free = delay;
            self.answered += 1;
            self.delays[..self.answered].sort_by(|a, b| a.get().total_cmp(&b.get()));
        }
    }

    /// What the round trips so far show of the way.
    fn way(&self) -> Option<Way> {
        let delays = &self.delays[..self.answered];
        let (&delay, &longest) = (delays.first()?, delays.last()?);
        let typical = (delays[(delays.len() - 1) / 2] + delays[delays.len() / 2]) * 0.5;
        debug_assert!(delay <= typical && typical <= longest, "a median is between the least and the most");
        Some(Way { delay, typical, spread: longest - delay, lean: Seconds::ZERO })
    }

    /// What a broadcast takes beyond half of the round trip: what the volley explains, or what it took before if the way is the old one.
    fn lean(&self, old: Option<Way>) -> Seconds {
        let before = old.zip(self.way()).filter(|(old, new)| !old.is_other(new)).map(|(old, _)| old.lean);
        self.explained(old).or(before).unwrap_or(Seconds::ZERO)
    }

    /// The same if a change of the way explains the jump: broadcasts are later by what the round trip is longer, or by a part of it.
    fn explained(&self, old: Option<Way>) -> Option<Seconds> {
        let (old, new, later) = (old?, self.way()?, -self.jump?);
        let part = later.get() / (new.typical - old.typical).get();
        let one_way = (old.one_way() + later).max(Seconds::ZERO).min(new.typical);
        (old.is_other(&new) && part > 0.0 && part <= 1.0 + ALIKE).then_some(one_way - new.typical * 0.5)
    }

    /// Whether no more requests are needed, or worth while.
    const fn is_over(&self) -> bool {
        self.answered >= VOLLEY || (self.answered > 0 && self.sent >= VOLLEY_MOST)
    }
}

/// A broadcast that was taken.
#[derive(Clone, Copy, Debug)]
struct Taken {
    transmit: NtpTimestamp,
    at: MonoTime,
}

/// What only a broadcast client has.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The interval of the server's broadcasts.
    exponent: PollExponent,
    requests: Requests,
    /// The volley, while there is one.
    volley: Option<Volley>,
    way: Option<Way>,
    /// The way is what the configuration says.
    way_is_given: bool,
    last: Option<Taken>,
    /// The offset that the last broadcast showed.
    offset: Option<Seconds>,
    /// The mean of those that fitted.
    usual: Option<Seconds>,
    /// Broadcasts since the last volley.
    heard: u32,
    /// Intervals since the last broadcast.
    silent: u32,
    /// A DENY or RSTR kiss was obeyed: no more is sent.
    denied: bool,
}

impl Listener {
    /// Of a server whose first broadcast has this header. `delay` is the round trip, where the configuration gives it (`broadcastdelay`);
    /// else it is measured.
    #[must_use]
    pub fn new(first: &Header, delay: Option<Seconds>) -> Self {
        Self {
            exponent: PollExponent::from_wire(first.poll),
            requests: Requests::new(first.version.get()),
            volley: delay.is_none().then(Volley::default),
            way: delay.map(|delay| Way { delay, typical: delay, spread: Seconds::ZERO, lean: Seconds::ZERO }),
            way_is_given: delay.is_some(),
            last: None,
            offset: None,
            usual: None,
            heard: 0,
            silent: 0,
            denied: false,
        }
    }

    /// Whether a broadcast with this poll exponent can be one of a server's.
    #[must_use]
    pub fn is_interval(poll: i8) -> bool {
        (i32::from(PollExponent::MIN.get())..=i32::from(PollExponent::MAX.get())).contains(&i32::from(poll))
    }

    /// Whether it exchanges packets with the server.
    #[must_use]
    pub const fn exchanges(&self) -> bool {
        self.volley.is_some()
    }

    /// Whether a broadcast comes at its time, and after the last one.
    fn test_time(&self, header: &Header, now: MonoTime) -> Result<(), Reject> {
        if header.poll != self.exponent.get() as i8 {
            return Err(Reject::Untimely);
        }
        let Some(last) = self.last else { return Ok(()) };
        if header.transmit == last.transmit {
            return Err(Reject::Duplicate);
        }
        let (since, interval) = (now.since(last.at), self.exponent.interval());
        let older = (header.transmit - last.transmit).to_seconds() <= Seconds::ZERO;
        if since < interval + EARLY * -1.0 || (older && since < interval * OLDER_ALLOWED) {
            return Err(Reject::Untimely);
        }
        Ok(())
    }

    fn hear(
        &mut self,
        common: &mut Common,
        arrival: &Arrival<'_>,
        timers: &mut Timers,
    ) -> Result<Received, Reject> {
        let Arrival { clock, rx, header, .. } = *arrival;
        let now = clock.now.mono;
        if header.transmit.is_zero() {
            common.flash |= flash::INVALID;
            return Err(Reject::Header);
        }
        self.test_time(header, now).inspect_err(|_| common.flash |= flash::DUPLICATE)?;
        common.flash &= !flash_of::PACKET;
        self.last = Some(Taken { transmit: header.transmit, at: now });
        self.silent = 0;
        self.heard = self.heard.saturating_add(1);
        common.test_synchronized(header)?;
        common.reach.responded(now, rx.received.at);
        common.note_header(header);
        let Some(way) = self.way.filter(|_| self.volley.is_none()) else { return Err(Reject::Unasked) };
        let offset = (header.transmit - rx.received.at).to_seconds() + way.one_way();
        if let Some(jump) = self.jumped(common, offset) {
            self.begin_volley(common, timers);
            self.volley.iter_mut().for_each(|volley| volley.jump = Some(jump));
            return Err(Reject::Unasked);
        }
        let _measured_at_once = common.reach.polled();
        timers.set(Timer::Poll(common.id), now + self.exponent.interval() * MISSING);
        let spread = way.spread + arrival.reading_error() + rx.received.error;
        let measured = Measurement::calibrated(arrival.moment(), offset, way.delay, spread);
        let nothing_sent = Header { receive: NtpTimestamp::ZERO, ..*header };
        let stamps = Exchange::new(NtpTimestamp::ZERO, &nothing_sent, rx.received.at);
        Ok(Received { answer: Answer::Heard(measured, stamps), slower: false })
    }

    fn answered(
        &mut self,
        common: &mut Common,
        arrival: &Arrival<'_>,
        timers: &mut Timers,
    ) -> Result<Received, Reject> {
        let pending = self.requests.take_response(common, arrival)?;
        if arrival.header.stratum == 0 {
            return self.kissed(common, arrival.header);
        }
        common.test_header(arrival.header, arrival.clock.precision)?;
        common.take_in(arrival);
        let (measured, exchange) = pending.measure(arrival)?;
        let (lean, explained) = self.volley.as_mut().map_or((Seconds::ZERO, false), |volley| {
            volley.answered(measured.delay());
            (volley.lean(self.way), volley.explained(self.way).is_some())
        });
        if self.volley.is_some_and(|volley| volley.is_over()) {
            self.end_volley(common, arrival.clock.now.mono, timers);
        }
        if explained {
            // The offset that it shows is wrong by what is not known yet of the new way. The server is there.
            let _reachable_before = common.reach.measured(arrival.clock.now.mono);
            return Err(Reject::Unasked);
        }
        let measured = Measurement { offset: measured.offset + lean, ..measured };
        Ok(Received { answer: Answer::Measured(measured, exchange), slower: false })
    }

    fn kissed(&mut self, common: &mut Common, header: &Header) -> Result<Received, Reject> {
        let Some(kiss) = Kiss::of(header) else {
            common.flash |= flash::UNSYNCHRONISED;
            return Err(Reject::Unsynchronised);
        };
        match (kiss, &mut self.volley) {
            (Kiss::Rate, Some(volley)) => volley.sent = VOLLEY_MOST,
            (Kiss::Rate, None) => {}
            _ => self.denied = true,
        }
        Ok(Received { answer: Answer::Kissed(kiss), slower: false })
    }

    fn end_volley(&mut self, common: &Common, now: MonoTime, timers: &mut Timers) {
        let Some(volley) = self.volley.take() else { return };
        let lean = volley.lean(self.way);
        self.way = volley.way().map(|way| Way { lean, ..way }).or(self.way);
        self.offset = None;
        self.heard = 0;
        timers.set(Timer::Poll(common.id), now + self.exponent.interval() * MISSING);
    }

    /// By how much the last two broadcasts are off, the one with this `offset` and the one before it that did not fit, if by about the same.
    fn jumped(&mut self, common: &Common, offset: Seconds) -> Option<Seconds> {
        let before = self.offset.replace(offset)?;
        if !common.estimator.alarmed() {
            let usual = self.usual.get_or_insert(before);
            *usual += (before - *usual) * NEWEST;
            return None;
        }
        let usual = self.usual.filter(|_| self.heard >= VOLLEY_AGAIN && !self.way_is_given)?;
        let jump = (before + offset) * 0.5 - usual;
        ((offset - before).abs() <= jump.abs() * ALIKE).then_some(jump)
    }

    /// Measures the way once more, at once.
    fn begin_volley(&mut self, common: &Common, timers: &mut Timers) {
        if self.volley.is_none() && !self.way_is_given && !self.denied {
            self.volley = Some(Volley::default());
            timers.set(Timer::Poll(common.id), MonoTime::ZERO);
        }
    }
}

impl Behaviour for Listener {
    fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled {
        let (now, timer) = (turn.now.mono, Timer::Poll(common.id));
        if self.volley.is_some_and(|volley| volley.is_over()) {
            self.end_volley(common, now, timers);
            return Polled { spent: true, ..Polled::default() };
        }
        let lost = common.reach.polled();
        if let Some(volley) = self.volley.as_mut().filter(|volley| volley.sent < VOLLEY_MOST) {
            volley.sent += 1;
            timers.set(timer, now + VOLLEY_SPACING);
            return Polled { asks: !self.denied, lost, ..Polled::default() };
        }
        self.silent += 1;
        let over = self.silent > LISTENER_ENDS;
        // Where nothing is sent, nothing has to be kept apart.
        let next = if self.exchanges() { turn.after(self.exponent) } else { now + self.exponent.interval() };
        timers.set(timer, next);
        Polled { asks: self.volley.is_some() && !self.denied && !over, lost, over, ..Polled::default() }
    }

    fn request(&mut self, common: &Common, making: &Making) -> Option<Header> {
        Some(self.requests.make(common, making, self.exponent))
    }

    fn sent(&mut self, departed: Departed) -> Option<Seconds> {
        self.requests.sent(departed)
    }

    fn receive(
        &mut self,
        common: &mut Common,
        arrival: &Arrival<'_>,
        timers: &mut Timers,
    ) -> Result<Received, Reject> {
        if arrival.header.mode == Mode::Server {
            return self.answered(common, arrival, timers);
        }
        if arrival.mac == Mac::Wrong {
            common.flash |= flash::AUTH;
            return Err(Reject::Auth);
        }
        self.hear(common, arrival, timers)
    }

    fn awaits(&self, origin: NtpTimestamp) -> bool {
        self.requests.awaits(origin)
    }

    fn packets_from(&self, common: &Common) -> Option<Host> {
        common.address
    }

    /// 6, ntpd's number for a broadcast client, whose packets there are none of.
    fn own_mode(&self) -> Mode {
        if self.exchanges() { Mode::Client } else { Mode::Control }
    }

    fn peer_mode(&self) -> Mode {
        if self.exchanges() { Mode::Server } else { Mode::Broadcast }
    }

    fn poll_exponent(&self, _common: &Common) -> PollExponent {
        self.exponent
    }

    fn last_transmit(&self) -> NtpTimestamp {
        self.last.map_or(self.requests.last_transmit(), |last| last.transmit)
    }

    fn is_polled(&self, common: &Common) -> bool {
        common.address.is_some()
    }

    /// Where the samples have jumped, the way may have changed: it is measured again.
    fn measured(&mut self, common: &Common, _silent_polls: u32, _now: MonoTime, timers: &mut Timers) {
        if self.volley.is_none() && common.estimator.jumps() > 0 && self.heard >= VOLLEY_AGAIN {
            self.begin_volley(common, timers);
        }
    }

    fn poll_anew(&mut self, common: &Common, _now: MonoTime, timers: &mut Timers) {
        self.begin_volley(common, timers);
    }
}
