//! A source: what all kinds share, and the kind.

use super::Received;
use super::client::Client;
use super::common::{Common, Header, Origin, Peer, Reachability, Selection, Tally};
use super::exchange::{Arrival, Departed};
use super::filter::Filter;
use super::kind::{Begun, Behaviour, Kind, Making, Polled, Turn};
use super::nts::NtsState;
use crate::config::model::Server;
use crate::engine::contract::{SendToken, Tx};
use crate::engine::estimator::{Estimator, Measurement};
use crate::engine::reject::Reject;
use crate::engine::timers::{Timer, Timers};
use crate::units::{AssocId, Host, MonoTime, NtpTimestamp, PollExponent, Seconds};
use crate::wire::event::PeerEvent;
use crate::wire::{Header as Packet, Mode};
use std::net::{IpAddr, SocketAddr};

/// What a measurement changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uptake {
    /// The source became reachable.
    pub first: bool,
    /// Whether samples before this one did not fit.
    pub was_alarmed: bool,
    /// Whether the last ones do not.
    pub alarmed: bool,
}

/// A source to be made.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its identifier.
    pub id: AssocId,
    /// Its line in ntp.conf, or what stands for one.
    pub line: Server,
    /// Its kind.
    pub kind: Kind,
    /// Its address, where that is known.
    pub address: Option<Host>,
    /// When it counts as made.
    pub made: MonoTime,
    /// What made it.
    pub origin: Origin,
}

/// A source of time.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) common: Common,
    pub(super) kind: Kind,
}

impl Source {
    /// A source that begins with this estimator. `precision` is that of our clock, log2 seconds.
    #[must_use]
    pub fn new(draft: Draft, estimator: Estimator, precision: i8) -> Self {
        let Draft { id, line, kind, address, made, origin } = draft;
        let mut common = Common::new(id, line, address, estimator, made);
        common.origin = origin;
        kind.describe(&mut common, precision);
        Self { common, kind }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its identifier.
    #[must_use]
    pub const fn id(&self) -> AssocId {
        self.common.id
    }

    /// Its line in ntp.conf.
    #[must_use]
    pub const fn config(&self) -> &Server {
        &self.common.config
    }

    /// Its address, once known. 127.127.1.U for the local clock.
    #[must_use]
    pub const fn address(&self) -> Option<Host> {
        self.common.address
    }

    /// The address to show: 0.0.0.0 until a name is resolved.
    #[must_use]
    pub fn shown_address(&self) -> Host {
        self.common.shown_address()
    }

    /// Which of our addresses its packets come to.
    #[must_use]
    pub const fn local_address(&self) -> Option<IpAddr> {
        self.common.local
    }

    /// Keys and cookies, where its line asks for NTS.
    #[must_use]
    pub fn nts(&self) -> Option<&NtsState> {
        self.common.nts.as_deref()
    }

    /// The same, to change them.
    pub fn nts_mut(&mut self) -> Option<&mut NtsState> {
        self.common.nts.as_deref_mut()
    }

    /// Whether its packets are authenticated, by a key or by NTS.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        self.common.is_authenticated()
    }

    /// Whether it responds.
    #[must_use]
    pub const fn reach(&self) -> &Reachability {
        &self.common.reach
    }

    /// The last header that it sent.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.common.header
    }

    /// Its clock filter.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.common.filter
    }

    /// What its samples say of our clock.
    #[must_use]
    pub const fn estimator(&self) -> &Estimator {
        &self.common.estimator
    }

    /// What selection made of it.
    #[must_use]
    pub const fn selection(&self) -> Selection {
        self.common.selection
    }

    /// Selection made this of it.
    pub const fn select(&mut self, selection: Selection) {
        self.common.selection = selection;
    }

    /// What came of its packets.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.common.tally
    }

    /// The RFC 9327 peer status word.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.common.status()
    }

    /// Counts an event as ntpd does and gives what the log needs.
    pub fn note_event(&mut self, code: PeerEvent) -> Peer {
        self.common.note_event(code)
    }

    /// A client with a key has seen the events.
    pub const fn events_seen(&mut self) {
        self.common.events_seen();
    }

    /// Where requests go and responses come from; `None` for what has no packets, or no address yet.
    #[must_use]
    pub fn endpoint(&self) -> Option<SocketAddr> {
        self.kind.packets_from(&self.common).map(|host| host.at_port(self.port()))
    }

    /// The port of its packets (`srcport`).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.common.nts.as_ref().and_then(|nts| nts.port()).unwrap_or_else(|| self.kind.port())
    }

    /// Our own port for its packets (`dstport`).
    #[must_use]
    pub fn own_port(&self) -> u16 {
        self.kind.port()
    }

    /// The mode of our packets (`hmode`).
    #[must_use]
    pub fn own_mode(&self) -> Mode {
        self.kind.own_mode()
    }

    /// The mode of its packets (`pmode`), once one has come.
    #[must_use]
    pub fn peer_mode(&self) -> Option<Mode> {
        self.common.reach.last_response().map(|_| self.kind.peer_mode())
    }

    /// Whether a request with this transmit timestamp has no response yet.
    #[must_use]
    pub fn awaits(&self, origin: NtpTimestamp) -> bool {
        self.kind.awaits(origin)
    }

    /// The poll exponent in force (`hpoll`).
    #[must_use]
    pub fn poll_exponent(&self) -> PollExponent {
        self.kind.poll_exponent(&self.common)
    }

    /// The transmit timestamp of its last packet (`org`).
    #[must_use]
    pub fn last_transmit(&self) -> NtpTimestamp {
        self.kind.last_transmit()
    }

    /// Its kind as the system status word has it: 6 for NTP, 5 for a local clock.
    #[must_use]
    pub fn clock_source(&self) -> u8 {
        self.kind.clock_source()
    }

    /// Whether it takes its time from elsewhere, so that it could have it from us, and measures our clock against it. The local
    /// clock does not: it is our clock.
    #[must_use]
    pub fn measures(&self) -> bool {
        self.kind.measures()
    }

    /// Whether it takes over while no other source is there.
    #[must_use]
    pub fn is_fallback(&self) -> bool {
        !self.measures() && !self.common.config.noselect && self.common.reach.is_reachable()
    }

    /// Whether a line of ntp.conf or of a control request made it. Otherwise a packet did.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        matches!(self.common.origin, Origin::Configured)
    }

    /// What made it.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.common.origin
    }

    /// Whether ntpq shows it as configured (`conf`).
    #[must_use]
    pub fn shows_configured(&self) -> bool {
        self.common.shows_configured()
    }

    /// A partner with which packets of symmetric mode are exchanged: it may have its time from us.
    #[must_use]
    pub const fn is_partner(&self) -> bool {
        matches!(self.kind, Kind::Symmetric(_))
    }

    /// A broadcast client.
    #[must_use]
    pub const fn is_listener(&self) -> bool {
        matches!(self.kind, Kind::Listener(_))
    }

    /// Whether it is polled by now or later.
    #[must_use]
    pub fn is_polled(&self) -> bool {
        self.kind.is_polled(&self.common)
    }

    /// Whether it is a source whose time could count.
    #[must_use]
    pub fn may_count(&self) -> bool {
        !self.common.config.noselect && self.kind.may_count()
    }

    /// Whether it could count and has not yet sent the burst with which it starts. A name that has
    /// not resolved is nothing to wait for.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.may_count() && self.common.address.is_some() && self.kind.is_starting()
    }

    /// Whether packets of a burst are still to be sent.
    #[must_use]
    pub fn is_bursting(&self) -> bool {
        self.is_polled() && self.kind.is_bursting()
    }

    /// Does what is due at a poll, if one is due; `floor` is the least jitter.
    pub fn poll(&mut self, turn: Turn, floor: Seconds, timers: &mut Timers) -> Option<Polled> {
        let timer = Timer::Poll(self.common.id);
        if !self.is_polled() {
            // A late response may have set it after a kiss that ended the association.
            timers.clear(timer);
            return None;
        }
        if !timers.is_due(timer, turn.now.mono) {
            return None;
        }
        let polled = self.kind.poll(&mut self.common, turn, timers);
        if polled.lost {
            self.common.filter.push_missing(turn.now.mono, floor);
        }
        Some(polled)
    }

    /// The packet to send now.
    pub fn request(&mut self, making: &Making) -> Option<Tx> {
        let Self { common, kind } = self;
        let mut to = kind.sends_to(common)?;
        if let Some(port) = common.nts.as_ref().and_then(|nts| nts.port()) {
            to.set_port(port);
        }
        let header = kind.request(common, making)?;
        common.tally.sends(making.clock.now.mono, common.config.minpoll);
        let complete = kind.sends_time().then_some(common.id);
        let token = Some(SendToken(making.token));
        Some(Tx { data: header.to_bytes().to_vec(), token, complete, ..Tx::new(to) })
    }

    /// The packet of the last request leaves at `at`; gives its transmit timestamp.
    pub fn departs(&mut self, at: NtpTimestamp) -> NtpTimestamp {
        self.kind.departs(at)
    }

    /// The packet named `token` left at `at`; false if this is not its source.
    pub fn sent(&mut self, departed: Departed) -> bool {
        let Some(delay) = self.kind.sent(departed) else { return false };
        self.common.tally.output_delay = delay;
        true
    }

    /// Takes a packet in, and counts what comes of it.
    ///
    /// # Errors
    /// Why it is not used; the flash bits say the same.
    pub fn receive(&mut self, arrival: &Arrival<'_>, timers: &mut Timers) -> Result<Received, Reject> {
        self.common.tally.received += 1;
        let result = self.kind.receive(&mut self.common, arrival, timers);
        if let Err(reason) = result {
            self.common.tally.rejects(reason);
        }
        result
    }

    /// A request that its pool made left at `at`: it counts as one of its own.
    pub fn request_left(&mut self, at: MonoTime) {
        self.common.tally.sends(at, self.common.config.minpoll);
    }

    /// Counts a packet that came for it and is not used.
    pub fn rejects(&mut self, reason: Reject) -> Reject {
        self.common.tally.received += 1;
        self.common.tally.rejects(reason);
        reason
    }

    /// Takes a measurement: as it is into the clock filter, and as it would be if the clock ran free (`free`) into the estimator.
    pub fn take_measurement(
        &mut self,
        now: MonoTime,
        measured: &Measurement,
        free: &Measurement,
        floor: Seconds,
        timers: &mut Timers,
    ) -> Uptake {
        let Self { common, kind } = self;
        let silent_polls = common.reach.unreach();
        let first = common.reach.measured(now);
        let was_alarmed = common.estimator.alarmed();
        common.note_measurement(measured, floor);
        if kind.measures() && !kind.takes_each_reading() {
            common.estimator.take(free);
        }
        kind.measured(common, silent_polls, now, timers);
        Uptake { first, was_alarmed, alarmed: common.estimator.alarmed() }
    }

    /// A server or pool member.
    #[must_use]
    pub fn as_client(&self) -> Option<&Client> {
        if let Kind::Client(client) = &self.kind { Some(client) } else { None }
    }

    /// The same, with what all kinds share, to change both.
    pub(super) fn as_client_mut(&mut self) -> Option<(&mut Client, &mut Common)> {
        if let Kind::Client(client) = &mut self.kind { Some((client, &mut self.common)) } else { None }
    }

    /// Which entry of the table of hop limits its packets for a group have.
    #[must_use]
    pub fn hop_limit(&self) -> Option<usize> {
        self.kind.hop_limit(&self.common)
    }

    /// Whether it sends to addresses that may turn out to be servers.
    #[must_use]
    pub fn is_soliciting(&self) -> bool {
        self.kind.is_soliciting()
    }

    /// From how many such addresses a response may come soon.
    #[must_use]
    pub fn awaited(&self) -> usize {
        self.kind.awaited()
    }

    /// Such addresses.
    #[must_use]
    pub fn solicited(&self) -> Vec<IpAddr> {
        self.kind.solicited()
    }

    /// Whether a packet from there responds to what was sent to such an address.
    #[must_use]
    pub fn has_solicited(&self, from: Host, header: &Packet) -> bool {
        self.kind.has_solicited(from, header)
    }

    /// The address responded: an association takes over.
    pub fn begin(&mut self, from: Host) -> Option<Begun> {
        self.kind.begin(from)
    }

    /// The line in ntp.conf has other options now.
    pub fn reconfigure(&mut self, config: Server) {
        self.common.config = config;
        self.kind.reconfigure(&mut self.common);
    }

    /// The daemon stepped the clock by `by`: what was measured before moves along.
    pub fn clock_stepped(&mut self, by: Seconds) {
        if self.measures() {
            self.common.filter.clock_stepped(by);
            self.common.estimator.clock_stepped(by);
            self.kind.clock_stepped(by);
        }
    }

    /// Another process set the clock: measures it anew, at once. `estimator` takes the place of one that knows too little.
    pub fn clock_set(&mut self, now: MonoTime, timers: &mut Timers, estimator: impl FnOnce() -> Estimator) {
        if !self.measures() {
            return;
        }
        let Self { common, kind } = self;
        common.filter.clear();
        if !common.estimator.clock_set() {
            common.estimator = estimator();
        }
        kind.poll_anew(common, now, timers);
    }

    /// The clock turned out not to be ours to adjust: begins to estimate anew.
    pub fn restart_estimate(&mut self, estimator: Estimator) {
        self.common.estimator = estimator;
    }

    /// A sample does not fit, of this source or another one: the next poll comes as soon as minpoll allows.
    pub fn hasten(&mut self, timers: &mut Timers) {
        self.kind.hasten(&self.common, timers);
    }

    /// The newest best sample, if peerstats has not had it yet.
    pub fn new_best(&mut self) -> Option<super::filter::Stage> {
        self.common.filter.new_best()
    }
}
