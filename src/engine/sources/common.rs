//! What all kinds of sources share: line, address, reachability, the last header, the samples and what they say, counters.

use super::filter::{Filter, Stage};
use super::nts::NtsState;
use crate::config::model::{Kind, Server, Tos};
use crate::engine::estimator::{Estimator, Measurement};
use crate::engine::reject::Reject;
use crate::units::{AssocId, Host, Leap, MonoTime, NtpTimestamp, PHI, PollExponent, RefId, Seconds, Stratum};
use crate::wire::event::{PeerEvent, flash};
use std::net::{IpAddr, Ipv4Addr};

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
    /// How long the last request took from its making to the wire.
    pub output_delay: Seconds,
    /// Seconds of headway that our requests have used, when the last one left.
    headway: f64,
    /// When that was.
    headway_at: MonoTime,
}

impl Tally {
    pub(super) const fn new(now: MonoTime) -> Self {
        Self {
            made: now,
            sent: 0,
            received: 0,
            bad_auth: 0,
            bogus: 0,
            duplicates: 0,
            too_far: 0,
            broken: 0,
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
            | Reject::Untimely
            | Reject::Unasked => {}
        }
    }
}

/// What selection made of a source, in the order of the mode-6 selection field (RFC 9327).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Selection {
    /// 0: not a candidate.
    #[default]
    Reject,
    /// 1 `x`: off the majority.
    Falsetick,
    /// 2 `.`: more than enough others.
    Excess,
    /// 3 `-`: cast out by the cluster algorithm.
    Outlier,
    /// 4 `+`: in the combine.
    Candidate,
    /// 5 `#`: a good one, but not among the first.
    Backup,
    /// 6 `*`: the system peer.
    SystemPeer,
    /// 7 `o`: the pulse that the clock follows; the source that numbers its seconds is the `*`.
    PpsPeer,
}

/// Which association an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its identifier.
    pub id: AssocId,
    /// Its address; 127.127.T.U for a clock.
    pub address: Host,
    /// Its mode-6 status word after the event.
    pub status: u16,
}

/// Whether and when a source responds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reachability {
    /// Responses to the last eight polls, newest in the lowest bit.
    register: u8,
    /// Polls since the last response.
    unreach: u32,
    /// When the last one came.
    last: Option<MonoTime>,
    /// The same by the wall clock.
    received: NtpTimestamp,
    /// Since when it is reachable, or was last.
    since: Option<MonoTime>,
}

impl Reachability {
    /// The reach register (`reach`).
    #[must_use]
    pub const fn register(&self) -> u8 {
        self.register
    }

    /// Whether one of the last eight polls got a response.
    #[must_use]
    pub const fn is_reachable(&self) -> bool {
        self.register != 0
    }

    /// Polls since the last response (`unreach`).
    #[must_use]
    pub const fn unreach(&self) -> u32 {
        self.unreach
    }

    /// When the last valid response came.
    #[must_use]
    pub const fn last_response(&self) -> Option<MonoTime> {
        self.last
    }

    /// The same by the wall clock (`rec`).
    #[must_use]
    pub const fn received(&self) -> NtpTimestamp {
        self.received
    }

    /// When it last became reachable.
    #[must_use]
    pub const fn since(&self) -> Option<MonoTime> {
        self.since
    }

    /// A poll begins; true if the source has become unreachable by it.
    pub(super) const fn polled(&mut self) -> bool {
        let was = self.register;
        self.register <<= 1;
        self.unreach = self.unreach.saturating_add(1);
        was != 0 && self.register == 0
    }

    /// A valid response came, whatever it is good for.
    pub(super) const fn responded(&mut self, at: MonoTime, received: NtpTimestamp) {
        self.last = Some(at);
        self.received = received;
    }

    /// A response yielded a sample; true if the source became reachable by it.
    pub(super) const fn measured(&mut self, now: MonoTime) -> bool {
        let first = self.register == 0;
        self.register |= 1;
        self.unreach = 0;
        if first {
            self.since = Some(now);
        }
        first
    }

    /// It wants nothing to do with us.
    pub(super) const fn lost(&mut self) {
        self.register = 0;
    }
}

/// What made an association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A line of ntp.conf, or of a control request.
    Configured,
    /// A packet of a stranger: it ends by itself.
    Ephemeral,
    /// A response to what a pool sent: it ends with that, or gives way to a better server.
    Preemptible {
        /// The association of the pool.
        by: AssocId,
    },
}

/// The part that every source has.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) id: AssocId,
    pub(super) config: Server,
    pub(super) origin: Origin,
    pub(super) address: Option<Host>,
    pub(super) local: Option<IpAddr>,
    pub(super) reach: Reachability,
    pub(super) header: Header,
    pub(super) filter: Filter,
    pub(super) estimator: Estimator,
    /// Results of the packet and peer tests.
    pub(super) flash: u16,
    pub(super) selection: Selection,
    events: Events,
    pub(super) tally: Tally,
    /// Keys and cookies, where the line asks for NTS.
    pub(super) nts: Option<Box<NtsState>>,
}

/// Mode-6 event counter, 0..=15, and the code of the last event.
#[derive(Clone, Copy, Debug)]
struct Events {
    count: u8,
    last: PeerEvent,
}

/// Groups of flash bits.
pub(super) mod flash_of {
    use super::flash;

    /// The peer tests.
    pub(crate) const FITNESS: u16 =
        flash::PEER_STRATUM | flash::PEER_DISTANCE | flash::PEER_LOOP | flash::PEER_UNREACHABLE;
    /// The packet tests that a valid response of any content passes.
    pub(crate) const PACKET: u16 =
        flash::AUTH | flash::BOGUS | flash::DUPLICATE | flash::INVALID | flash::DENIED;
}

impl Common {
    pub(super) fn new(
        id: AssocId,
        config: Server,
        address: Option<Host>,
        estimator: Estimator,
        now: MonoTime,
    ) -> Self {
        let nts = config.nts.is_some().then(Box::default);
        let refid = if nts.is_some() { RefId::NTS } else { RefId::INIT };
        Self {
            id,
            config,
            origin: Origin::Configured,
            address,
            local: None,
            reach: Reachability::default(),
            header: Header { refid, ..Header::UNHEARD },
            filter: Filter::default(),
            estimator,
            flash: flash::PEER_UNREACHABLE | flash::PEER_DISTANCE | flash::PEER_STRATUM,
            selection: Selection::Reject,
            events: Events { count: 0, last: PeerEvent::Unspecified },
            tally: Tally::new(now),
            nts,
        }
    }

    /// Whether its packets are authenticated, by a key or by NTS.
    pub(super) const fn is_authenticated(&self) -> bool {
        self.config.key.is_some() || self.config.nts.is_some()
    }

    /// Begins anew with another address; what was counted stays.
    pub(super) fn move_to(&mut self, address: Host, estimator: Estimator) {
        let fresh = Self::new(self.id, self.config.clone(), Some(address), estimator, self.tally.made);
        let nts = self.nts.take();
        *self = Self { events: self.events, tally: self.tally, origin: self.origin, nts, ..fresh };
    }

    pub(super) fn shown_address(&self) -> Host {
        self.address.unwrap_or(Host { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), scope: 0 })
    }

    /// What ntpd 4.2.6 shows as `conf`: made by a line, and there to stay.
    pub(super) fn shows_configured(&self) -> bool {
        self.origin == Origin::Configured && !self.config.preempt
    }

    pub(super) fn status(&self) -> u16 {
        let configured = if self.shows_configured() { 0x80u16 } else { 0 };
        let authenticated = if self.is_authenticated() { 0x40 } else { 0 };
        let verified = if self.is_authenticated() && self.reach.is_reachable() { 0x20 } else { 0 };
        let reachable = if self.reach.is_reachable() { 0x10 } else { 0 };
        let sends_to_many = self.config.kind == Kind::Broadcast || self.config.solicits();
        let broadcast = if sends_to_many { 0x08 } else { 0 };
        let first = broadcast | configured | authenticated | verified | reachable | self.selection as u16;
        first << 8 | u16::from(self.events.count) << 4 | self.events.last as u16
    }

    /// ntpd 4.2.6 counts the different events of an association: an event that repeats the last one begins the count again,
    /// and at 15 all others are ignored.
    pub(super) fn note_event(&mut self, code: PeerEvent) -> Peer {
        if self.events.last == code {
            self.events.count = 0;
        }
        if self.events.count < EVENTS_MAX {
            self.events.count += 1;
            self.events.last = code;
        }
        Peer { id: self.id, address: self.shown_address(), status: self.status() }
    }

    pub(super) const fn events_seen(&mut self) {
        self.events.count = 0;
    }

    /// Root distance: how far its time may be from its reference (RFC 5905 section 11.1).
    pub(super) fn root_distance(&self, now: MonoTime) -> Seconds {
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
    pub(super) fn asymmetry(&self) -> Seconds {
        let own = self.filter.best().map_or(Seconds::ZERO, |best| best.delay);
        (own + self.header.root_delay) * 0.5
    }

    /// How far the estimate of its time may be from true time: the asymmetry, what the server says of its own error, and three
    /// standard errors of the estimate. The root distance counts what a clock of 15 ppm may have gone astray since the samples;
    /// the estimate knows the clock's rate, and its variance says how well.
    pub(super) fn error_bound(&self, now: MonoTime) -> Seconds {
        let known = self.estimator.estimate(now).filter(|_| self.estimator.samples() >= ENOUGH);
        // While the estimate is less sure than ntpd's rules, they decide.
        let distance = self.root_distance(now);
        known.map_or(distance, |estimate| {
            let own = Seconds::new(SURE * estimate.offset_variance.sqrt());
            distance.min(self.asymmetry() + self.header.root_dispersion + own)
        })
    }

    /// The flash bits of the peer tests that it fails, but for TEST12. Its error bound must be below `limit`, if there is one.
    pub(super) fn unfitness(&self, now: MonoTime, tos: &Tos, limit: Option<Seconds>) -> u16 {
        let stratum = self.header.stratum.get();
        let mut failed = 0;
        // In orphan mode those below the parent have their time from it, or none.
        let orphaned = tos.orphan_stratum().is_some_and(|limit| stratum > limit);
        if orphaned || self.header.leap == Leap::Unsynchronised || !tos.admits(self.header.stratum) {
            failed |= flash::PEER_STRATUM;
        }
        if limit.is_some_and(|limit| self.error_bound(now) >= limit) {
            failed |= flash::PEER_DISTANCE;
        }
        if !self.reach.is_reachable() {
            failed |= flash::PEER_UNREACHABLE;
        }
        failed
    }

    /// Puts a measurement into the clock filter, for ntpq and selection; `floor` is the least jitter.
    pub(super) fn note_measurement(&mut self, measured: &Measurement, floor: Seconds) {
        let stage = Stage {
            offset: measured.offset,
            delay: measured.delay(),
            dispersion: measured.error(),
            at: measured.at,
        };
        self.filter.push(stage, floor);
    }
}
