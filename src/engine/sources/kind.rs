//! The kinds of sources. A new one is a file that answers [`Behaviour`], a line in [`Kind`], and one where its line in ntp.conf
//! makes it (`routes/associations.rs`).

use super::Received;
use super::announcer::Announcer;
use super::beacon::Beacon;
use super::client::Client;
use super::common::Common;
use super::exchange::{Arrival, Departed, OwnClock, Requests};
use super::listener::Listener;
use super::local::Local;
use super::prototype::Prototype;
use super::reference::Reference;
use super::symmetric::Symmetric;
use crate::engine::contract::Now;
use crate::engine::estimator::Measurement;
use crate::engine::reject::Reject;
use crate::engine::timers::Timers;
use crate::units::{Host, MonoTime, NTP_PORT, NtpTimestamp, PollExponent, Seconds};
use crate::wire::event::ClockEvent;
use crate::wire::{Header, Mode};
use enum_dispatch::enum_dispatch;
use std::net::{IpAddr, SocketAddr};

/// What kind of source it is: each has its poll state and what it expects of packets in a file of its own.
#[enum_dispatch]
#[derive(Clone, Debug)]
pub enum Kind {
    /// A server or a pool member that is polled.
    Client,
    /// A partner: both sides poll.
    Symmetric,
    /// A broadcast server: only we send.
    Announcer,
    /// A pool, whose servers are clients of their own.
    Prototype,
    /// A broadcast client: only the other side sends.
    Listener,
    /// A manycast client, whose servers are clients of their own, too.
    Beacon,
    /// The undisciplined local clock.
    Local,
    /// A reference clock.
    Reference,
}

/// A poll that is due.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// When.
    pub now: Now,
    /// The poll exponent that the clock discipline wants.
    pub wanted: PollExponent,
    /// A random number in 0..1, which keeps polls of many clients apart.
    pub jitter: f64,
    /// How many more associations are wanted.
    pub demand: Demand,
}

/// How many more associations a pool or a manycast client may make, and how the latter looks for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Demand {
    /// So many.
    pub wanted: usize,
    /// Whether there are fewer survivors of selection than `tos minclock`.
    pub in_need: bool,
    /// Entries of the table of hop limits.
    pub hop_limits: usize,
    /// After so many polls the search for manycast servers begins anew (`tos beacon`).
    pub restarts_after: u32,
}

/// What the association begins with whose server responded to a pool.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The requests that it was sent.
    pub(super) requests: Requests,
    /// When the last one left.
    pub(super) sent: MonoTime,
}

impl Begun {
    /// When the last request left.
    #[must_use]
    pub const fn sent(&self) -> MonoTime {
        self.sent
    }
}

/// The clock source of NTP in the system status word (RFC 9327).
const NTP: u8 = 6;
/// Packets of partners and broadcasts come up to this much later than the interval says.
const SPREAD: f64 = 0.06;

impl Turn {
    /// When the next packet of a partner or a broadcast is due, by this exponent.
    pub(super) fn after(&self, exponent: PollExponent) -> MonoTime {
        self.now.mono + Seconds::new(exponent.interval().get() * (1.0 + SPREAD * self.jitter))
    }
}

/// What a poll did.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Polled {
    /// A request is to be sent.
    pub asks: bool,
    /// The source had been reachable and no longer is.
    pub lost: bool,
    /// The last packet of a burst leaves: what waited for the burst need not wait on.
    pub spent: bool,
    /// The association has come to its end.
    pub over: bool,
    /// The addresses of its name are wanted.
    pub looks_up: bool,
    /// The address that is sent the first packet.
    pub solicits: Option<Host>,
    /// What was measured by the poll itself.
    pub measured: Option<Measurement>,
    /// What is wrong with a reference clock, if that is news.
    pub trouble: Option<ClockEvent>,
    /// A line for clockstats.
    pub statistics: Option<String>,
}

/// What a packet of ours is made of.
#[derive(Clone, Copy, Debug)]
pub struct Making {
    /// Our clock.
    pub clock: OwnClock,
    /// A random number, for a transmit timestamp that no other host can know.
    pub random: u64,
    /// The packet's name for [`crate::engine::contract::Input::Sent`].
    pub token: u64,
    /// What we say of our clock as a server.
    pub ours: Header,
}

/// What each kind answers in its own way. Where most say the same, that stands here.
#[enum_dispatch(Kind)]
pub(super) trait Behaviour {
    /// What is due at a poll; sets the timer of the next one.
    fn poll(&mut self, common: &mut Common, turn: Turn, timers: &mut Timers) -> Polled;

    /// Its kind as the system status word has it (RFC 9327, clock source).
    fn clock_source(&self) -> u8 {
        NTP
    }

    /// What it says of itself before anything was heard, and its address where that follows from the line. `precision` is our own.
    fn describe(&self, _common: &mut Common, _precision: i8) {}

    /// The packet to send now; `None` where none is ever sent.
    fn request(&mut self, _common: &Common, _making: &Making) -> Option<Header> {
        None
    }

    /// Where its packets go.
    fn sends_to(&self, common: &Common) -> Option<SocketAddr> {
        self.packets_from(common).map(|host| host.at_port(self.port()))
    }

    /// Which entry of the table of hop limits its packets for a group have.
    fn hop_limit(&self, _common: &Common) -> Option<usize> {
        None
    }

    /// Whether the transmit timestamps of its packets are the time, read as late as possible.
    fn sends_time(&self) -> bool {
        false
    }

    /// The packet of the last request leaves at `at`; gives its transmit timestamp.
    fn departs(&mut self, at: NtpTimestamp) -> NtpTimestamp {
        at
    }

    /// The packet of this name left at `at`; gives how long it took to the wire, if it is one of ours.
    fn sent(&mut self, _departed: Departed) -> Option<Seconds> {
        None
    }

    /// Tests a packet.
    fn receive(
        &mut self,
        _common: &mut Common,
        _arrival: &Arrival<'_>,
        _timers: &mut Timers,
    ) -> Result<Received, Reject> {
        Err(Reject::Unasked)
    }

    /// Whether a request with this transmit timestamp has no response yet.
    fn awaits(&self, _origin: NtpTimestamp) -> bool {
        false
    }

    /// Where requests go and packets come from; `None` for what has no packets, or no address yet.
    fn packets_from(&self, _common: &Common) -> Option<Host> {
        None
    }

    /// The port of its packets, and of ours (`srcport` and `dstport`).
    fn port(&self) -> u16 {
        NTP_PORT
    }

    /// The mode of our packets (`hmode`).
    fn own_mode(&self) -> Mode {
        Mode::Client
    }

    /// The mode of its packets (`pmode`).
    fn peer_mode(&self) -> Mode {
        Mode::Server
    }

    /// The poll exponent in force (`hpoll`).
    fn poll_exponent(&self, common: &Common) -> PollExponent {
        common.config.minpoll
    }

    /// The transmit timestamp of its last packet (`org`).
    fn last_transmit(&self) -> NtpTimestamp {
        NtpTimestamp::ZERO
    }

    /// Whether it takes its time from elsewhere, and measures our clock against it.
    fn measures(&self) -> bool {
        true
    }

    /// Whether its time has a distance that selection limits: it comes over a network.
    fn has_distance(&self) -> bool {
        self.measures()
    }

    /// Whether each of its readings goes to the estimator when it comes: the measurement of a poll then only shows them.
    fn takes_each_reading(&self) -> bool {
        false
    }

    /// The error that all of its samples may have in common, beside that of the way.
    fn error_floor(&self, _common: &Common) -> Seconds {
        Seconds::ZERO
    }

    /// The daemon stepped the clock by `by`: what it holds back moves along.
    fn clock_stepped(&mut self, _by: Seconds) {}

    /// Whether it is polled by now or later.
    fn is_polled(&self, _common: &Common) -> bool {
        true
    }

    /// Whether its time could count, `noselect` apart.
    fn may_count(&self) -> bool {
        self.measures()
    }

    /// Whether it has not yet sent the burst with which it starts.
    fn is_starting(&self) -> bool {
        false
    }

    /// Whether packets of a burst are still to be sent.
    fn is_bursting(&self) -> bool {
        false
    }

    /// Whether it sends to addresses that may turn out to be servers.
    fn is_soliciting(&self) -> bool {
        false
    }

    /// From how many such addresses a response may come soon.
    fn awaited(&self) -> usize {
        0
    }

    /// Such addresses.
    fn solicited(&self) -> Vec<IpAddr> {
        Vec::new()
    }

    /// Whether a packet from there responds to what was sent to such an address.
    fn has_solicited(&self, _from: Host, _header: &Header) -> bool {
        false
    }

    /// The address responded: an association takes over.
    fn begin(&mut self, _from: Host) -> Option<Begun> {
        None
    }

    /// The line in ntp.conf has other options now.
    fn reconfigure(&mut self, _common: &mut Common) {}

    /// It was measured, after so many polls without a response.
    fn measured(&mut self, _common: &Common, _silent_polls: u32, _now: MonoTime, _timers: &mut Timers) {}

    /// The next poll comes as soon as minpoll allows.
    fn hasten(&mut self, _common: &Common, _timers: &mut Timers) {}

    /// Everything is measured anew, at once.
    fn poll_anew(&mut self, _common: &Common, _now: MonoTime, _timers: &mut Timers) {}

    /// What its samples' dispersions amount to so far.
    fn dispersion_so_far(&self, common: &Common) -> Seconds {
        common.filter.dispersion_so_far()
    }
}
