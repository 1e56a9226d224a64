//! One association: a server we ask (or the local clock), its state and what ntpq shows of it.

use crate::config::model::{Server, Target, Tos};
use crate::engine::estimator::Estimator;
use crate::engine::reject::Reject;
use crate::engine::report::event::Peer;
use crate::engine::selection::select::Selection;
use crate::engine::sources::filter::Filter;
use crate::units::{AssocId, Host, Leap, MonoTime, NtpTimestamp, PHI, PollExponent, RefId, Seconds, Stratum};
use crate::wire::event::{PeerEvent, flash};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Polls without an answer after which a peer is asked less often (NTP_UNREACH).
pub const UNREACH_BACKOFF: u32 = 10;

/// The most events that an association counts (CTL_PEER_MAXEVENTS).
const EVENTS_MAX: u8 = 15;
/// Samples that make a source usable.
const ENOUGH: usize = 2;
/// An estimate is off by no more than so many standard errors.
const SURE: f64 = 3.0;

/// The last header a server sent, as far as selection and ntpq need it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Header {
    /// Leap bits.
    pub leap: Leap,
    /// Stratum, 16 if unspecified.
    pub stratum: Stratum,
    /// Precision, log2 seconds.
    pub precision: i8,
    /// Root delay.
    pub root_delay: Seconds,
    /// Root dispersion.
    pub root_dispersion: Seconds,
    /// Reference identifier.
    pub refid: RefId,
    /// Reference time.
    pub reftime: NtpTimestamp,
    /// Its poll exponent as sent.
    pub poll: i8,
}

impl Header {
    /// What is shown before anything was heard.
    pub const UNHEARD: Self = Self {
        leap: Leap::Unsynchronised,
        stratum: Stratum::UNSYNCHRONISED,
        precision: 0,
        root_delay: Seconds::ZERO,
        root_dispersion: Seconds::ZERO,
        refid: RefId::INIT,
        reftime: NtpTimestamp::ZERO,
        poll: 0,
    };
}

/// A request that has not been answered yet.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// The random transmit timestamp that the answer must give back.
    pub cookie: NtpTimestamp,
    /// When it left, by the wall clock; corrected when the shell tells.
    pub sent: NtpTimestamp,
    /// Its name for [`crate::engine::contract::Input::Sent`].
    pub token: u64,
    /// The clock's step count when it left: an exchange across a step measures nothing.
    pub epoch: u32,
}

/// What came of an association's packets, for ntpq.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// When the association was made.
    pub made: MonoTime,
    /// Requests sent.
    pub sent: u64,
    /// Packets that came from it.
    pub received: u64,
    /// Packets without the right code.
    pub bad_auth: u64,
    /// Packets whose origin was not ours.
    pub bogus: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets whose error bounds were too large.
    pub too_far: u64,
    /// Packets of a server that is not synchronised.
    pub broken: u64,
    /// When it last became reachable.
    pub reached: Option<MonoTime>,
    /// How long the last request took from its making to the wire.
    pub output_delay: Seconds,
    /// Seconds of headway that our requests have used, when the last one left.
    headway: f64,
    /// When that was.
    headway_at: MonoTime,
}

impl Tally {
    const fn new(now: MonoTime) -> Self {
        Self {
            made: now,
            sent: 0,
            received: 0,
            bad_auth: 0,
            bogus: 0,
            duplicates: 0,
            too_far: 0,
            broken: 0,
            reached: None,
            output_delay: Seconds::ZERO,
            headway: 0.0,
            headway_at: now,
        }
    }

    /// A request leaves; `minpoll` is the shortest exponent it may have.
    pub fn sends(&mut self, now: MonoTime, minpoll: PollExponent) {
        self.sent += 1;
        self.headway = self.headway(now) + minpoll.interval().get() - 2.0;
        self.headway_at = now;
    }

    /// What our requests have used of the rate a server bears: 2^minpoll − 2 each, one less a second
    /// (ntpd's `throttle`).
    #[must_use]
    pub fn headway(&self, now: MonoTime) -> f64 {
        (self.headway - now.since(self.headway_at).get().max(0.0)).max(0.0)
    }

    /// Why a packet was not used.
    pub fn rejects(&mut self, reason: Reject) {
        match reason {
            Reject::Auth => self.bad_auth += 1,
            Reject::Bogus => self.bogus += 1,
            Reject::Duplicate => self.duplicates += 1,
            Reject::Header => self.too_far += 1,
            Reject::Unsynchronised => self.broken += 1,
            Reject::Format
            | Reject::Restricted
            | Reject::Source
            | Reject::Limited
            | Reject::Mode
            | Reject::Unasked => {}
        }
    }
}

/// An association.
#[derive(Clone, Debug)]
pub struct Association {
    /// Its identifier.
    pub id: AssocId,
    /// Its configuration line.
    pub config: Server,
    /// Its address, once known. 127.127.1.U for the local clock.
    pub address: Option<Host>,
    /// Addresses of its name that did not answer, before this one.
    pub tried: Vec<Host>,
    /// How often all of them did not.
    pub rounds: u8,
    /// Which of our addresses its packets come to.
    pub local: Option<IpAddr>,
    /// Answers to the last eight polls, newest in the lowest bit.
    pub reach: u8,
    /// Polls since the last answer.
    pub unreach: u32,
    /// Our poll exponent.
    pub poll: PollExponent,
    /// The shortest exponent it allows us, once it has sent a RATE kiss.
    pub rate_floor: Option<PollExponent>,
    /// Whether the last kiss changed that.
    pub rate_news: bool,
    /// Packets still to send in the burst under way.
    pub burst: u8,
    /// Whether the burst at start has been spent.
    pub started: bool,
    /// When it is polled next.
    pub next_poll: MonoTime,
    /// The last poll.
    pub last_poll: Option<MonoTime>,
    /// The last answer.
    pub last_answer: Option<MonoTime>,
    /// Receive time of the last answer by the wall clock.
    pub received: NtpTimestamp,
    /// Transmit timestamp of the last answer, to know duplicates.
    pub last_transmit: NtpTimestamp,
    /// The open request.
    pub pending: Option<Pending>,
    /// Earlier ones whose response may still come, oldest first: a round trip may take longer than a burst's spacing.
    pub earlier: Vec<Pending>,
    /// Polls that came early because the server had no time to give yet.
    pub early_polls: u8,
    /// A DENY or RSTR kiss was obeyed.
    pub denied: bool,
    /// What it said last.
    pub header: Header,
    /// The clock filter.
    pub filter: Filter,
    /// What its samples tell of the clock.
    pub estimator: Estimator,
    /// When the sample was measured that peerstats had last.
    pub best_logged: Option<MonoTime>,
    /// Results of the packet tests.
    pub flash: u16,
    /// What selection made of it.
    pub selection: Selection,
    /// Mode-6 event counter, 0..=15.
    pub event_count: u8,
    /// Mode-6 code of the last event.
    pub last_event: PeerEvent,
    /// What came of its packets, for ntpq.
    pub tally: Tally,
    /// Whether requests carry a digest longer than 20 octets as it is.
    pub whole_mac: bool,
    /// The version it is asked in: ours, lowered for servers that know no better.
    pub version: u8,
}

impl Association {
    /// A fresh association, due at `first_poll`.
    #[must_use]
    pub fn new(
        id: AssocId,
        config: Server,
        address: Option<Host>,
        estimator: Estimator,
        first_poll: MonoTime,
    ) -> Self {
        let poll = config.minpoll;
        let version = config.version;
        Self {
            id,
            address,
            tried: Vec::new(),
            rounds: 0,
            local: None,
            reach: 0,
            unreach: 0,
            poll,
            rate_floor: None,
            rate_news: false,
            burst: 0,
            started: false,
            next_poll: first_poll,
            last_poll: None,
            last_answer: None,
            received: NtpTimestamp::ZERO,
            last_transmit: NtpTimestamp::ZERO,
            pending: None,
            earlier: Vec::new(),
            early_polls: 0,
            denied: false,
            header: Header::UNHEARD,
            filter: Filter::default(),
            estimator,
            best_logged: None,
            flash: flash::PEER_UNREACHABLE | flash::PEER_DISTANCE | flash::PEER_STRATUM,
            selection: Selection::Reject,
            event_count: 0,
            last_event: PeerEvent::Unspecified,
            tally: Tally::new(first_poll),
            whole_mac: false,
            version,
            config,
        }
    }

    /// Whether this is the undisciplined local clock.
    #[must_use]
    pub const fn is_local_clock(&self) -> bool {
        matches!(self.config.target, Target::LocalClock { .. })
    }

    /// Where requests go: the address with port 123.
    #[must_use]
    pub fn endpoint(&self) -> Option<SocketAddr> {
        if self.is_local_clock() { None } else { self.address.map(|a| a.at_port(123)) }
    }

    /// The address to show: 0.0.0.0 until a name is resolved.
    #[must_use]
    pub fn shown_address(&self) -> Host {
        self.address.unwrap_or(Host { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), scope: 0 })
    }

    /// The RFC 9327 peer status word.
    #[must_use]
    pub fn status(&self) -> u16 {
        let configured = 0x80u16;
        let authenticated = if self.config.key.is_some() { 0x40 } else { 0 };
        let verified = if self.config.key.is_some() && self.reach != 0 { 0x20 } else { 0 };
        let reachable = if self.reach == 0 { 0 } else { 0x10 };
        let first = configured | authenticated | verified | reachable | self.selection as u16;
        first << 8 | u16::from(self.event_count) << 4 | self.last_event as u16
    }

    /// Counts an event as ntpd does and gives what the log needs. ntpd 4.2.6 counts the different events of an
    /// association: an event that repeats the last one begins the count again, and at 15 all others are ignored.
    pub fn note_event(&mut self, code: PeerEvent) -> Peer {
        if self.last_event == code {
            self.event_count = 0;
        }
        if self.event_count < EVENTS_MAX {
            self.event_count += 1;
            self.last_event = code;
        }
        Peer { id: self.id, address: self.shown_address(), status: self.status() }
    }

    /// Root distance: how far its time may be from its reference (RFC 5905 section 11.1).
    #[must_use]
    pub fn root_distance(&self, now: MonoTime) -> Seconds {
        let Some(best) = self.filter.best() else {
            return self.filter.dispersion();
        };
        let age = now.since(best.at).get().max(0.0);
        Seconds::new(
            // A negative root delay makes no server closer than it is.
            (best.delay.get() + self.header.root_delay.get().max(0.0)) / 2.0
                + self.filter.dispersion_so_far().get()
                + self.header.root_dispersion.get()
                + PHI * age
                + self.filter.jitter().get(),
        )
    }

    /// Half of the round trip to the source and on to its reference: by no more can the ways' asymmetry make its time wrong.
    #[must_use]
    pub fn asymmetry(&self) -> Seconds {
        let own = self.filter.best().map_or(Seconds::ZERO, |best| best.delay);
        (own + self.header.root_delay) * 0.5
    }

    /// How far the estimate of its time may be from true time: the asymmetry, what the server says of its own error, and three
    /// standard errors of the estimate. The root distance counts what a clock of 15 ppm may have gone astray since the samples;
    /// the estimate knows the clock's rate, and its variance says how well.
    #[must_use]
    pub fn error_bound(&self, now: MonoTime) -> Seconds {
        let known = self.estimator.estimate(now).filter(|_| self.estimator.samples() >= ENOUGH);
        // While the estimate is less sure than ntpd's rules, they decide.
        let distance = self.root_distance(now);
        known.map_or(distance, |estimate| {
            let own = Seconds::new(SURE * estimate.offset_variance.sqrt());
            distance.min(self.asymmetry() + self.header.root_dispersion + own)
        })
    }

    /// The peer tests (TEST10 to TEST13): sets the flash bits; true if it may be selected.
    pub fn test_fitness(&mut self, now: MonoTime, tos: &Tos, loops: bool) -> bool {
        self.flash &=
            !(flash::PEER_STRATUM | flash::PEER_DISTANCE | flash::PEER_LOOP | flash::PEER_UNREACHABLE);
        let stratum = self.header.stratum.get();
        if self.header.leap == Leap::Unsynchronised || stratum < tos.floor || stratum >= tos.ceiling.min(16) {
            self.flash |= flash::PEER_STRATUM;
        }
        let limit = tos.maxdist.get() + PHI * self.poll.interval().get();
        if !self.is_local_clock() && self.error_bound(now).get() >= limit {
            self.flash |= flash::PEER_DISTANCE;
        }
        if loops {
            self.flash |= flash::PEER_LOOP;
        }
        if self.reach == 0 {
            self.flash |= flash::PEER_UNREACHABLE;
        }
        let failed = flash::PEER_STRATUM | flash::PEER_DISTANCE | flash::PEER_LOOP | flash::PEER_UNREACHABLE;
        self.flash & failed == 0 && !self.config.noselect && self.filter.best().is_some()
    }

    /// Whether it is a server whose word could count.
    #[must_use]
    pub fn may_count(&self) -> bool {
        !self.is_local_clock() && !self.config.noselect && !self.denied
    }

    /// Whether it could count and has not yet spent the burst with which it starts. A name that has
    /// not resolved is nothing to wait for.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.may_count() && self.address.is_some() && (!self.started || self.burst > 0)
    }

    /// The poll exponent in force when the discipline asks for `wanted`.
    pub fn adapt_poll(&mut self, wanted: PollExponent) {
        let low = self.rate_floor.map_or(self.config.minpoll, |floor| floor.max(self.config.minpoll));
        self.poll = wanted.max(low).min(self.config.maxpoll.max(low));
    }
}
