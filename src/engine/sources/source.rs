//! A source: what all kinds share, and the kind.

use super::client::Client;
use super::common::{Common, Header, Peer, Reachability, Selection, Tally, flash_of};
use super::filter::Filter;
use super::local::Local;
use crate::config::model::{Server, Tos};
use crate::engine::estimator::Estimator;
use crate::engine::timers::Timers;
use crate::units::{AssocId, Host, MonoTime, NtpTimestamp, PollExponent, Seconds};
use crate::wire::Mode;
use crate::wire::event::{PeerEvent, flash};
use std::net::{IpAddr, SocketAddr};

/// A source of time.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) common: Common,
    pub(super) kind: Kind,
}

/// What kind of source it is: each has its poll state and what it expects of packets in a file of its own.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A server or a pool member that is polled.
    Client(Box<Client>),
    /// The undisciplined local clock.
    Local(Local),
}

impl Source {
    /// A server, or a pool member.
    #[must_use]
    pub fn client(
        id: AssocId,
        config: Server,
        address: Option<Host>,
        estimator: Estimator,
        now: MonoTime,
    ) -> Self {
        let kind = Kind::Client(Box::new(Client::new(&config)));
        Self { common: Common::new(id, config, address, estimator, now), kind }
    }

    /// The local clock, as its line and its `fudge` line describe it.
    #[must_use]
    pub fn local(
        id: AssocId,
        config: Server,
        unit: u8,
        estimator: Estimator,
        now: MonoTime,
        precision: i8,
    ) -> Self {
        let local = Local::new(unit);
        let mut common = Common::new(id, config, Some(local.address()), estimator, now);
        local.describe(&mut common, precision);
        Self { common, kind: Kind::Local(local) }
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
        match &self.kind {
            Kind::Client(client) => self.common.address.map(|a| a.at_port(client.port())),
            Kind::Local(_) => None,
        }
    }

    /// The port of its packets, and of ours (`srcport` and `dstport`).
    #[must_use]
    pub const fn port(&self) -> u16 {
        match &self.kind {
            Kind::Client(client) => client.port(),
            Kind::Local(local) => local.port(),
        }
    }

    /// The mode of our packets (`hmode`).
    #[must_use]
    pub const fn own_mode(&self) -> Mode {
        match &self.kind {
            Kind::Client(client) => client.own_mode(),
            Kind::Local(local) => local.own_mode(),
        }
    }

    /// The mode of its packets (`pmode`), once one has come.
    #[must_use]
    pub fn peer_mode(&self) -> Option<Mode> {
        let mode = match &self.kind {
            Kind::Client(client) => client.peer_mode(),
            Kind::Local(local) => local.peer_mode(),
        };
        self.common.reach.last_response().map(|_| mode)
    }

    /// The poll exponent in force (`hpoll`).
    #[must_use]
    pub const fn poll(&self) -> PollExponent {
        match &self.kind {
            Kind::Client(client) => client.poll_exponent(),
            Kind::Local(_) => self.common.config.minpoll,
        }
    }

    /// The transmit timestamp of its last packet (`org`).
    #[must_use]
    pub const fn last_transmit(&self) -> NtpTimestamp {
        match &self.kind {
            Kind::Client(client) => client.last_transmit(),
            Kind::Local(_) => NtpTimestamp::ZERO,
        }
    }

    /// Its kind as the system status word has it: 6 for NTP, 5 for a local clock.
    #[must_use]
    pub const fn clock_source(&self) -> u8 {
        match &self.kind {
            Kind::Client(_) => 6,
            Kind::Local(_) => 5,
        }
    }

    /// Whether it takes its time from elsewhere, so that it could have it from us, and measures our clock against it. The local
    /// clock does not: it is our clock.
    #[must_use]
    pub const fn measures(&self) -> bool {
        matches!(self.kind, Kind::Client(_))
    }

    /// Whether it takes over while no other source is there.
    #[must_use]
    pub const fn is_fallback(&self) -> bool {
        matches!(self.kind, Kind::Local(_))
            && !self.common.config.noselect
            && self.common.reach.is_reachable()
    }

    /// The unit of the local clock, as ntpd names it: `LOCAL(0)`.
    #[must_use]
    pub const fn local_unit(&self) -> Option<u8> {
        match &self.kind {
            Kind::Local(local) => Some(local.unit()),
            Kind::Client(_) => None,
        }
    }

    /// Whether it is polled by now or later.
    #[must_use]
    pub fn is_polled(&self) -> bool {
        match &self.kind {
            Kind::Client(client) => client.is_polled(&self.common),
            Kind::Local(_) => true,
        }
    }

    /// Whether it is a server whose time could count.
    #[must_use]
    pub fn may_count(&self) -> bool {
        self.as_client().is_some_and(|client| !self.common.config.noselect && !client.is_denied())
    }

    /// Whether it could count and has not yet sent the burst with which it starts. A name that has
    /// not resolved is nothing to wait for.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.may_count() && self.common.address.is_some() && self.as_client().is_some_and(Client::is_starting)
    }

    /// A server or pool member.
    #[must_use]
    pub fn as_client(&self) -> Option<&Client> {
        match &self.kind {
            Kind::Client(client) => Some(client),
            Kind::Local(_) => None,
        }
    }

    /// The same, with what all kinds share, to change both.
    pub(super) fn as_client_mut(&mut self) -> Option<(&mut Client, &mut Common)> {
        match &mut self.kind {
            Kind::Client(client) => Some((client, &mut self.common)),
            Kind::Local(_) => None,
        }
    }

    /// The line in ntp.conf has other options now.
    pub fn reconfigure(&mut self, config: Server) {
        self.common.config = config;
        match &mut self.kind {
            Kind::Client(client) => client.reconfigure(&self.common),
            Kind::Local(local) => local.fudge(&mut self.common),
        }
    }

    /// What is left to show of the flash word: TEST11 means nothing for a clock without a distance.
    #[must_use]
    pub const fn shown_flash(&self) -> u16 {
        match &self.kind {
            Kind::Client(_) => self.common.flash,
            Kind::Local(_) => self.common.flash & !flash::PEER_DISTANCE,
        }
    }

    /// Half of the round trip to the source and on to its reference: by no more can the asymmetry of the path make its time wrong.
    #[must_use]
    pub fn asymmetry(&self) -> Seconds {
        self.common.asymmetry()
    }

    /// How far the estimate of its time may be from true time.
    #[must_use]
    pub fn error_bound(&self, now: MonoTime) -> Seconds {
        self.common.error_bound(now)
    }

    /// The peer tests (TEST10 to TEST13): sets the flash bits; true if it may be selected.
    pub fn test_fitness(&mut self, now: MonoTime, tos: &Tos, loops: bool) -> bool {
        let poll = self.poll();
        let distance_counts = self.measures();
        self.common.flash &= !flash_of::FITNESS;
        self.common.flash |= self.common.unfitness(now, tos, poll, distance_counts);
        if loops {
            self.common.flash |= flash::PEER_LOOP;
        }
        self.common.flash & flash_of::FITNESS == 0
            && !self.common.config.noselect
            && self.common.filter.best().is_some()
    }

    /// Dispersion of its samples, as far as there are some. The local clock has none: it is right by definition, from its first
    /// poll on.
    #[must_use]
    pub fn dispersion_so_far(&self) -> Seconds {
        match &self.kind {
            Kind::Client(_) => self.common.filter.dispersion_so_far(),
            Kind::Local(_) => Seconds::ZERO,
        }
    }

    /// The daemon stepped the clock by `by`: what was measured before moves along.
    pub fn clock_stepped(&mut self, by: Seconds) {
        if self.measures() {
            self.common.filter.clock_stepped(by);
            self.common.estimator.clock_stepped(by);
        }
    }

    /// Another process set the clock: measures it anew, at once. `estimator` takes the place of one that knows too little.
    pub fn clock_set(&mut self, now: MonoTime, timers: &mut Timers, estimator: impl FnOnce() -> Estimator) {
        let endpoint = self.endpoint();
        if let Some((client, common)) = self.as_client_mut() {
            common.filter.clear();
            if !common.estimator.clock_set() {
                common.estimator = estimator();
            }
            if endpoint.is_some() {
                client.poll_anew(common, now, timers);
            }
        }
    }

    /// The clock turned out not to be ours to adjust: begins to estimate anew.
    pub fn restart_estimate(&mut self, estimator: Estimator) {
        self.common.estimator = estimator;
    }

    /// A sample does not fit, of this source or another one: the next poll comes as soon as minpoll allows.
    pub fn hasten(&mut self, timers: &mut Timers) {
        if let Some((client, common)) = self.as_client_mut() {
            client.hasten(common, timers);
        }
    }

    /// The newest best sample, if peerstats has not had it yet.
    pub fn new_best(&mut self) -> Option<super::filter::Stage> {
        let best = self.common.filter.best()?;
        if self.common.best_recorded.is_some_and(|recorded| best.at <= recorded) {
            return None;
        }
        self.common.best_recorded = Some(best.at);
        Some(best)
    }
}
