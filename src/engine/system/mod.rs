//! The system variables: what we are as a server, and what the system peer made us.

pub mod published;

use crate::engine::clock::Discipline;
use crate::engine::contract::Now;
use crate::engine::sources::Source;
use crate::units::{
    AssocId, Leap, MAX_DISPERSION, MonoTime, NtpShort, NtpTimestamp, PHI, RefId, Seconds, Stratum,
};
use crate::wire::{Header, Mode, Version};
use md5::{Digest as _, Md5};
use std::net::IpAddr;

/// RFC 5905 system variables (section 11), valid at `updated`.
#[derive(Clone, Debug)]
pub struct System {
    /// Leap bits that we serve.
    leap: Leap,
    /// Stratum that we serve.
    stratum: Stratum,
    /// Precision of the clock, log2 seconds.
    precision: i8,
    /// Round trip to the reference clock.
    root_delay: Seconds,
    /// Error bound at `updated`; grows since.
    root_dispersion: Seconds,
    /// Reference identifier.
    refid: RefId,
    /// When the clock was last corrected.
    reftime: NtpTimestamp,
    /// The system peer.
    peer: Option<AssocId>,
    /// Its status source code of mode 6: 6 for NTP, 5 for the local clock, 0 for none.
    source: u8,
    /// Combined jitter of the survivors.
    jitter: Seconds,
    /// When these were updated.
    updated: MonoTime,
    /// Since when the clock is being brought to where the sources say it should be, and is not served as synchronized.
    settling: Option<MonoTime>,
}

impl System {
    /// Just started: leap 3, stratum 16, refid INIT.
    #[must_use]
    pub const fn new(precision: i8, now: MonoTime) -> Self {
        Self {
            leap: Leap::Unsynchronised,
            stratum: Stratum::UNSYNCHRONISED,
            precision,
            root_delay: Seconds::ZERO,
            root_dispersion: Seconds::ZERO,
            refid: RefId::INIT,
            reftime: NtpTimestamp::ZERO,
            peer: None,
            source: 0,
            jitter: Seconds::ZERO,
            updated: now,
            settling: None,
        }
    }

    /// Leap bits that we serve.
    #[must_use]
    pub const fn leap(&self) -> Leap {
        self.leap
    }

    /// Whether the clock is served as synchronized.
    #[must_use]
    pub fn is_synchronized(&self) -> bool {
        self.leap != Leap::Unsynchronised
    }

    /// Stratum that we serve.
    #[must_use]
    pub const fn stratum(&self) -> Stratum {
        self.stratum
    }

    /// Precision of the clock, log2 seconds.
    #[must_use]
    pub const fn precision(&self) -> i8 {
        self.precision
    }

    /// The clock turned out to have another precision, log2 seconds.
    pub const fn set_precision(&mut self, precision: i8) {
        self.precision = precision;
    }

    /// Round trip to the reference clock.
    #[must_use]
    pub const fn root_delay(&self) -> Seconds {
        self.root_delay
    }

    /// Reference identifier.
    #[must_use]
    pub const fn refid(&self) -> RefId {
        self.refid
    }

    /// When the clock was last corrected.
    #[must_use]
    pub const fn reftime(&self) -> NtpTimestamp {
        self.reftime
    }

    /// The system peer.
    #[must_use]
    pub const fn peer(&self) -> Option<AssocId> {
        self.peer
    }

    /// Combined jitter of the survivors.
    #[must_use]
    pub const fn jitter(&self) -> Seconds {
        self.jitter
    }

    /// The survivors have another jitter.
    pub const fn set_jitter(&mut self, jitter: Seconds) {
        self.jitter = jitter;
    }

    /// Least jitter worth showing: the clock's precision.
    #[must_use]
    pub fn floor(&self) -> Seconds {
        Seconds::new(2f64.powi(i32::from(self.precision)))
    }

    /// The error bound now.
    #[must_use]
    pub fn root_dispersion_at(&self, now: MonoTime) -> Seconds {
        let age = now.since(self.updated).get().max(0.0);
        Seconds::new(self.root_dispersion.get() + PHI * age)
    }

    /// The error bound now with respect to the reference clock, asymmetric paths included (RFC 5905: root distance).
    #[must_use]
    pub fn root_distance_at(&self, now: MonoTime) -> Seconds {
        self.root_delay * 0.5 + self.root_dispersion_at(now)
    }

    /// What we say of our clock in packets: all of the header but mode, version, poll and timestamps.
    #[must_use]
    pub fn header(&self, now: MonoTime) -> Header {
        Header {
            leap: self.leap,
            version: Version::V4,
            mode: Mode::Server,
            stratum: self.stratum.to_wire(),
            poll: 0,
            precision: self.precision,
            root_delay: NtpShort::from_seconds(self.root_delay),
            root_dispersion: NtpShort::from_seconds(self.root_dispersion_at(now)),
            reference_id: self.refid,
            reference: self.reftime,
            origin: NtpTimestamp::ZERO,
            receive: NtpTimestamp::ZERO,
            transmit: NtpTimestamp::ZERO,
        }
    }

    /// The clock may be wrong by so much more than was known: from now on it is served with that error bound, and as
    /// unsynchronized until it is right again.
    pub fn doubt(&mut self, now: MonoTime, more: Seconds) {
        self.root_dispersion = (self.root_dispersion_at(now) + more).min(Seconds::new(MAX_DISPERSION));
        self.updated = now;
        self.leap = Leap::Unsynchronised;
        self.settling = Some(now);
    }

    /// The offset may be as large as `offset`, which is being watched: the error bound is no less.
    pub fn cover(&mut self, now: MonoTime, offset: Seconds) {
        let before = self.root_dispersion_at(now);
        if offset.abs() > before {
            self.root_dispersion = offset.abs().min(Seconds::new(MAX_DISPERSION));
            self.updated = now;
        }
    }

    /// No source is left, and this host gives the time of its own clock at this stratum (orphan mode).
    pub fn stand_alone(&mut self, now: Now, stratum: Stratum, leap: Leap) {
        debug_assert!(self.peer.is_none(), "a host that follows another one does not stand alone");
        self.leap = leap;
        self.stratum = stratum;
        self.refid = Self::alone_at(stratum);
        self.root_delay = Seconds::ZERO;
        self.root_dispersion = Seconds::ZERO;
        self.reftime = now.wall;
        self.updated = now.mono;
        self.settling = None;
    }

    /// Whether it gives the time of its own clock, in orphan mode.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        self.peer.is_none() && self.refid == Self::alone_at(self.stratum)
    }

    fn alone_at(stratum: Stratum) -> RefId {
        if stratum.get() == 1 { RefId::LOOP } else { RefId::LOOPBACK }
    }

    /// Nothing is known of the time any more, as at the start.
    pub fn unsynchronize(&mut self, now: MonoTime) {
        self.leap = Leap::Unsynchronised;
        self.stratum = Stratum::UNSYNCHRONISED;
        self.refid = RefId::INIT;
        self.updated = now;
    }

    /// The RFC 9327 system status word, without the events.
    #[must_use]
    pub fn status(&self) -> u16 {
        debug_assert!(
            self.peer.is_some() || self.source == 0,
            "a server without a system peer has no source: {}",
            self.source
        );
        u16::from(self.leap.to_bits()) << 14 | u16::from(self.source) << 8
    }

    /// Leap bits that we serve from now on. Gives whether the clock is served as synchronized with that, and was not before.
    pub fn announce(&mut self, leap: Leap) -> bool {
        let was = self.is_synchronized();
        self.leap = leap;
        let becomes = !was && self.is_synchronized();
        if becomes {
            self.settling = None;
        }
        becomes
    }

    /// Since when the clock is being brought to where the sources say it should be: since now, if it was not before.
    pub fn settling_since(&mut self, now: MonoTime) -> MonoTime {
        *self.settling.get_or_insert(now)
    }

    /// Whether the clock is being brought there, and is not served as synchronized until then.
    #[must_use]
    pub const fn is_settling(&self) -> bool {
        self.settling.is_some()
    }

    /// There is no system peer any more; gives whether there was one.
    pub fn lose_peer(&mut self) -> bool {
        self.source = 0;
        self.peer.take().is_some()
    }

    /// The clock now follows `peer`: takes over its root variables (RFC 5905 section 11.2.3).
    pub fn follow(&mut self, now: Now, peer: &Source, discipline: &Discipline) {
        let (now, wall) = (now.mono, now.wall);
        self.peer = Some(peer.id());
        self.source = peer.clock_source();
        self.stratum = peer.header().stratum.next();
        self.refid = if self.stratum.get() == 1 {
            peer.header().refid
        } else {
            peer.address().map_or(RefId::INIT, |host| refid_of(host.ip))
        };
        // A partner's time is no newer than it says: so no ring of partners takes its own time for news.
        self.reftime = if peer.is_partner() { peer.header().reftime } else { wall };
        self.updated = now;
        let best = peer.filter().best();
        self.root_delay =
            peer.header().root_delay.max(Seconds::ZERO) + best.map_or(Seconds::ZERO, |s| s.delay);
        let age = best.map_or(0.0, |s| now.since(s.at).get().max(0.0));
        let (offset, error) = if peer.measures() {
            (discipline.offset(now).abs(), discipline.offset_error())
        } else {
            (Seconds::ZERO, Seconds::ZERO)
        };
        self.root_dispersion = peer.header().root_dispersion
            + peer.dispersion_so_far()
            + Seconds::new(PHI * age)
            + self.jitter
            + error
            + offset;
        debug_assert!(self.stratum.get() >= 1, "a server is one stratum below its system peer");
        debug_assert!(
            self.root_dispersion >= Seconds::ZERO,
            "an error bound is not negative: {:?}",
            self.root_dispersion
        );
    }
}

/// The reference identifier by which our clients know a source: its IPv4 address, or the first
/// four bytes of the MD5 hash of its IPv6 address (RFC 5905 section 7.3).
#[must_use]
pub fn refid_of(address: IpAddr) -> RefId {
    match address {
        IpAddr::V4(v4) => RefId::from_ipv4(v4),
        IpAddr::V6(v6) => {
            let hash = Md5::digest(v6.octets());
            RefId::from_bytes([hash[0], hash[1], hash[2], hash[3]])
        }
    }
}
