//! A symmetric association (RFC 5905 modes 1 and 2): two hosts poll each other, each by its own timer, and each packet answers the
//! last one of the other side. `peer` lines make active ones; a packet of mode 1 from another host may make a passive one.
//!
//! A packet is only measured when it answers our last one. Of a packet that does not, since one was lost or forged, the
//! timestamps are kept as a candidate: if nothing better comes, our next packet answers it, and the two sides find each
//! other again.
//!
//! With `iburst` or `burst` an active side sends bursts: a host that makes no association answers each packet at once, and of two sides
//! that begin together each answers the other's. A partner that only answers by its own timer answers the last packet.

use super::burst::{Burst, SPACING, START_BURST};
use super::common::{Common, flash_of};
use super::exchange::{self, Answer, Arrival, Departed};
use super::kind::{Behaviour, Making, Polled, Turn};
use super::{Mac, Received};
use crate::config::model::Server;
use crate::engine::reject::Reject;
use crate::engine::timers::{Timer, Timers};
use crate::units::{Host, MonoTime, NtpTimestamp, PollExponent, Seconds, Stamp};
use crate::wire::event::flash;
use crate::wire::kiss::Kiss;
use crate::wire::{Header, Mode, Version};

/// Polls without a packet after which it is polled less often (NTP_UNREACH).
const UNREACH_BACKOFF: u32 = 10;
/// Polls without a packet after which a passive association ends: eight until it is unreachable, and eight more.
const PASSIVE_ENDS: u32 = 16;

/// Which side it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Configured by `peer`.
    Active,
    /// Made by a packet of the other side.
    Passive,
}

/// After so many packets in basic mode the partner counts as one without interleaved mode.
const FORGETS: u32 = 3;
/// It is tried again with each of so many packets.
const TRIES: u32 = 8;

/// A packet of ours.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Its transmit timestamp, which the answer gives back.
    transmit: NtpTimestamp,
    /// When it left, as the shell reports it.
    left: Stamp,
    token: u64,
    /// How often the clock had been stepped when it left.
    steps: u32,
    /// Whether an answer was measured.
    answered: bool,
    /// When the packet of the partner arrived that it answers: its receive timestamp.
    answers: Option<Stamp>,
    /// Where the transmit timestamp is not its own time: when our packet before it left.
    before: Option<Stamp>,
}

/// A packet of the partner.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// Its timestamps: our answer gives back the transmit timestamp, or the receive timestamp in interleaved mode.
    origin: NtpTimestamp,
    receive: NtpTimestamp,
    transmit: NtpTimestamp,
    /// When it arrived.
    arrived: Stamp,
}

impl Heard {
    const fn new(header: &Header, arrived: Stamp) -> Self {
        Self { origin: header.origin, receive: header.receive, transmit: header.transmit, arrived }
    }

    /// Whether it is this packet. In interleaved mode two packets may have one transmit timestamp.
    fn is(&self, header: &Header) -> bool {
        (self.origin, self.receive, self.transmit) == (header.origin, header.receive, header.transmit)
    }
}

/// What a packet of the partner says of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answers {
    /// It gives back our transmit timestamp, and has a time of its own.
    Basic,
    /// It gives back our receive timestamp, and says when the packet before it left.
    Interleaved,
    /// It gives back a transmit timestamp that was the time of an earlier packet.
    Earlier,
}

/// What only a symmetric association has.
#[derive(Clone, Debug)]
pub struct Symmetric {
    role: Role,
    exponent: PollExponent,
    /// The burst under way, if any.
    burst: Burst,
    /// The partner's poll exponent.
    partner_poll: Option<PollExponent>,
    sent: Option<Sent>,
    /// The last packet that gave back the timestamp of ours.
    heard: Option<Heard>,
    /// A later one that did not.
    candidate: Option<Heard>,
    /// The mode of the partner's last packet.
    partner_mode: Mode,
    /// Packets in a row by which the partner showed no interleaved mode; `None` after one that did.
    basic: Option<u32>,
    /// Polls since a packet of the partner came, whatever it was good for. An unsynchronized partner is there, too.
    silent: u32,
}

impl Symmetric {
    /// The side that is configured.
    #[must_use]
    pub const fn active(minpoll: PollExponent) -> Self {
        Self::new(Role::Active, minpoll)
    }

    /// The other side of a packet of mode 1 that arrived at `arrived`.
    #[must_use]
    pub fn passive(first: &Header, arrived: Stamp, minpoll: PollExponent) -> Self {
        let candidate = Some(Heard::new(first, arrived));
        Self {
            candidate,
            partner_poll: Some(PollExponent::from_wire(first.poll)),
            ..Self::new(Role::Passive, minpoll)
        }
    }

    const fn new(role: Role, exponent: PollExponent) -> Self {
        Self {
            role,
            exponent,
            burst: Burst::NONE,
            partner_poll: None,
            sent: None,
            heard: None,
            candidate: None,
            basic: Some(0),
            partner_mode: Mode::SymmetricActive,
            silent: 0,
        }
    }

    /// Which side it is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether it is polled less often: an active association is, a passive one ends instead.
    const fn is_silent(&self) -> bool {
        self.silent > UNREACH_BACKOFF
    }

    /// The exponent by which the next packet is sent: the lesser of both sides', while there is another side.
    fn in_force(&self, common: &Common) -> PollExponent {
        let theirs = self.partner_poll.filter(|_| self.role == Role::Passive || !self.is_silent());
        theirs.map_or(self.exponent, |theirs| self.exponent.min(theirs.max(common.config.minpoll)))
    }

    /// Whether the next packet says when the one before it left (`xleave`): that is known better than its own time. The partner can use
    /// it if it does the same, and if the packets of both sides alternate. Whether it does is tried now and then.
    fn interleaves(&self, common: &Common, steps: u32) -> bool {
        let alternates =
            self.sent.is_some_and(|sent| sent.answered && sent.steps == steps) && self.heard.is_some();
        let tries = self.basic.is_none_or(|basic| basic < FORGETS || basic.is_multiple_of(TRIES));
        common.config.xleave && alternates && tries
    }

    /// The tests of RFC 5905 section 9 in the order in which nothing changes before a packet has passed: code, duplicate, origin.
    fn test(&mut self, common: &mut Common, arrival: &Arrival<'_>) -> Result<Received, Reject> {
        let Arrival { clock, rx, header, mac } = *arrival;
        if mac == Mac::Wrong {
            common.flash |= flash::AUTH;
            return Err(Reject::Auth);
        }
        if header.transmit.is_zero() {
            common.flash |= flash::INVALID;
            return Err(Reject::Header);
        }
        if [self.heard, self.candidate].iter().flatten().any(|h| h.is(header)) {
            common.flash |= flash::DUPLICATE;
            return Err(Reject::Duplicate);
        }
        self.silent = 0;
        let heard = Heard::new(header, rx.received);
        let answers = self.sent.as_ref().and_then(|sent| sent.answered_by(header, &common.config));
        let (Some(sent), Some(answers)) = (self.sent.as_mut(), answers) else {
            self.candidate = Some(heard);
            common.flash |= flash::BOGUS;
            return Err(Reject::Bogus);
        };
        (self.heard, self.candidate) = (Some(heard), None);
        self.basic = match (answers, self.basic) {
            (Answers::Interleaved, _) => None,
            (_, None) => Some(0),
            (_, Some(before)) => Some(before.saturating_add(1)),
        };
        if std::mem::replace(&mut sent.answered, true) || answers == Answers::Earlier {
            // The partner polled twice: our packet answers the later one, which measures nothing.
            common.flash |= flash::BOGUS;
            return Err(Reject::Bogus);
        }
        let sent = *sent;
        common.flash &= !flash_of::PACKET;
        self.partner_poll = Some(PollExponent::from_wire(header.poll));
        self.partner_mode = header.mode;
        match answers {
            Answers::Interleaved => common.test_synchronized(header)?,
            _ => common.test_header(header, clock.precision)?,
        }
        common.take_in(arrival);
        if sent.steps != clock.steps {
            // An exchange across a step of the clock measures nothing.
            return Err(Reject::Bogus);
        }
        let (measured, exchange) = match (answers, sent.answers) {
            (Answers::Interleaved, Some(before)) => {
                exchange::measure_interleaved(arrival, sent.left, before).ok_or(Reject::Bogus)?
            }
            _ => exchange::measure(arrival, sent.left),
        };
        Ok(Received { answer: Answer::Measured(measured, exchange), slower: false })
    }
}

impl Sent {
    /// How a packet of the partner answers this one, if it does: by interleaved mode only where the line has `xleave`.
    fn answered_by(&self, header: &Header, line: &Server) -> Option<Answers> {
        let gives_back = |stamp: NtpTimestamp| !stamp.is_zero() && stamp == header.origin;
        if gives_back(self.transmit) {
            return Some(if self.before.is_some() { Answers::Earlier } else { Answers::Basic });
        }
        let receive = self.answers.map_or(NtpTimestamp::ZERO, |arrived| arrived.at);
        (line.xleave && gives_back(receive)).then_some(Answers::Interleaved)
    }
}

impl Symmetric {
    /// Sends a packet of the burst under way.
    fn poll_in_burst(&mut self, common: &Common, turn: Turn, timers: &mut Timers) -> Polled {
        let exponent = self.in_force(common);
        let wait = self.burst.sends(common, exponent);
        let going_on = self.burst.is_under_way();
        let next = wait.or(going_on.then_some(SPACING));
        timers.set(
            Timer::Poll(common.id),
            next.map_or_else(|| turn.after(exponent), |wait| turn.now.mono + wait),
        );
        Polled { asks: true, spent: !going_on, ..Polled::default() }
    }
}

impl Behaviour for Symmetric {
    fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled {
        if self.burst.is_under_way() {
            return self.poll_in_burst(common, turn, timers);
        }
        if self.role == Role::Active {
            self.burst = Burst::wanted(common).unwrap_or(Burst::NONE);
        }
        let lost = common.reach.polled();
        self.silent = self.silent.saturating_add(1);
        if self.role == Role::Passive && self.silent > PASSIVE_ENDS {
            return Polled { lost, over: true, ..Polled::default() };
        }
        let (low, high) = (common.config.minpoll, common.config.maxpoll);
        let wanted =
            if common.reach.is_reachable() && !common.estimator.alarmed() { turn.wanted } else { low };
        let slower = match self.role {
            Role::Active => self.silent.saturating_sub(UNREACH_BACKOFF).min(17) as u8,
            Role::Passive => 0,
        };
        self.exponent = wanted.max(PollExponent::new(low.get().saturating_add(slower))).max(low).min(high);
        let alone = turn.after(self.in_force(common));
        let next = if self.burst.is_under_way() { turn.now.mono + SPACING } else { alone };
        timers.set(Timer::Poll(common.id), next);
        Polled { asks: true, lost, ..Polled::default() }
    }

    fn request(&mut self, common: &Common, making: &Making) -> Option<Header> {
        let Making { clock, token, ours, .. } = *making;
        let answers = self
            .candidate
            .filter(|_| self.sent.is_none_or(|s| !s.answered))
            .or(self.heard)
            .or(self.candidate);
        let interleaves = self.interleaves(common, clock.steps);
        let before = self.sent.map(|sent| sent.left).filter(|_| interleaves);
        self.sent = Some(Sent {
            transmit: NtpTimestamp::ZERO,
            left: Stamp::clock(clock.now.wall),
            token,
            steps: clock.steps,
            answered: false,
            answers: answers.map(|h| h.arrived),
            before,
        });
        let origin = |h: Heard| if before.is_some() { h.receive } else { h.transmit };
        Some(Header {
            mode: self.own_mode(),
            version: Version::new(common.config.version).unwrap_or(Version::V4),
            poll: self.exponent.get() as i8,
            origin: answers.map_or(NtpTimestamp::ZERO, origin),
            receive: answers.map_or(NtpTimestamp::ZERO, |h| h.arrived.at),
            ..ours
        })
    }

    /// The partner computes with the timestamp.
    fn sends_time(&self) -> bool {
        true
    }

    fn departs(&mut self, at: NtpTimestamp) -> NtpTimestamp {
        let Some(sent) = &mut self.sent else { return at };
        sent.left = Stamp::clock(at);
        sent.transmit = sent.before.map_or(at, |before| before.at);
        sent.transmit
    }

    fn sent(&mut self, departed: Departed) -> Option<Seconds> {
        let Departed { token, at, .. } = departed;
        let sent = self.sent.as_mut().filter(|s| s.token == token && at.taken >= s.left.taken)?;
        let delay = (at.at - sent.left.at).to_seconds();
        sent.left = at;
        Some(delay)
    }

    fn receive(
        &mut self,
        common: &mut Common,
        arrival: &Arrival<'_>,
        timers: &mut Timers,
    ) -> Result<Received, Reject> {
        let was_silent = self.is_silent();
        let result = self.test(common, arrival);
        if result == Err(Reject::Unsynchronised)
            && self.burst.is_under_way()
            && Kiss::of(arrival.header).is_some()
        {
            self.burst = Burst::NONE;
            timers.set(Timer::Poll(common.id), arrival.clock.now.mono + self.in_force(common).interval());
        }
        if was_silent && self.silent == 0 {
            // It is back: what is sent now, it can answer.
            let soon = arrival.clock.now.mono + common.config.minpoll.interval();
            let timer = Timer::Poll(common.id);
            timers.set(timer, timers.get(timer).map_or(soon, |due| due.min(soon)));
        }
        result
    }

    fn packets_from(&self, common: &Common) -> Option<Host> {
        common.address
    }

    fn own_mode(&self) -> Mode {
        match self.role {
            Role::Active => Mode::SymmetricActive,
            Role::Passive => Mode::SymmetricPassive,
        }
    }

    fn peer_mode(&self) -> Mode {
        self.partner_mode
    }

    fn poll_exponent(&self, _common: &Common) -> PollExponent {
        self.exponent
    }

    fn last_transmit(&self) -> NtpTimestamp {
        self.sent.map_or(NtpTimestamp::ZERO, |sent| sent.transmit)
    }

    fn is_polled(&self, common: &Common) -> bool {
        common.address.is_some()
    }

    fn is_bursting(&self) -> bool {
        self.burst.is_under_way()
    }

    fn hasten(&mut self, common: &Common, timers: &mut Timers) {
        let timer = Timer::Poll(common.id);
        if common.reach.is_reachable()
            && !self.burst.is_under_way()
            && let Some(due) = timers.get(timer)
        {
            let longer = self.in_force(common).interval().get() - common.config.minpoll.interval().get();
            timers.set(timer, due + Seconds::new(-longer.max(0.0)));
        }
    }

    fn poll_anew(&mut self, common: &Common, now: MonoTime, timers: &mut Timers) {
        if self.is_polled(common) {
            // What was sent by the other clock measures nothing.
            self.sent = None;
            self.burst = if common.config.iburst { Burst::of(START_BURST) } else { Burst::NONE };
            timers.set(Timer::Poll(common.id), now);
        }
    }
}
