//! Making and ending associations.

use crate::config::model::{Kind, Server, Target};
use crate::engine::Engine;
use crate::engine::contract::{Now, Output, Rx};
use crate::engine::report::event::Event;
use crate::engine::sources::names::Purpose;
use crate::engine::sources::{
    self, Announcer, Beacon, Client, Draft, Local, Origin, Prototype, Reference, Source, Symmetric,
};
use crate::engine::timers::Timer;
use crate::units::{AssocId, Host, Seconds};
use crate::wire::Mode;
use crate::wire::event::PeerEvent;
use rand_chacha::rand_core::Rng;

/// Servers are polled for the first time within this span after the start, seconds.
const FIRST_POLLS: f64 = 0.5;
/// A reference clock is polled for the first time after this long: it has been read by then.
const FIRST_READINGS: Seconds = Seconds::new(2.0);

impl Engine {
    /// Makes the association that a configuration line asks for.
    pub(in crate::engine) fn mobilize(&mut self, now: Now, server: Server) {
        match (&server.kind, &server.target) {
            (Kind::Server, Target::LocalClock { unit }) => {
                let local = Local::new(*unit);
                self.add_clock(now, server, local.into(), local.address());
            }
            (Kind::Server, Target::RefClock { .. }) => self.add_reference(now, server),
            (Kind::Server | Kind::Pool, Target::Address(_) | Target::Name(_)) if server.nts.is_some() => {
                let id = self.add_server(now, server, None);
                let begins = now.mono + self.first_poll();
                self.timers.set(Timer::Keys(id), begins);
            }
            (Kind::ManycastClient, Target::Address(address)) if !address.is_multicast() => {
                self.event(Event::InvalidAddress(Host::from(*address)));
            }
            (Kind::Broadcast | Kind::ManycastClient, Target::Address(address)) => {
                let host = Host::from(*address);
                if self.is_free(host, &server) {
                    self.add_server(now, server, Some(host));
                }
            }
            (Kind::Server | Kind::Pool | Kind::Peer, Target::Address(address)) => {
                let host = Host::from(*address);
                if host.is_no_server() {
                    self.event(Event::InvalidAddress(host));
                } else if self.is_free(host, &server) {
                    self.add_server(now, server, Some(host));
                }
            }
            (Kind::Server | Kind::Pool | Kind::Peer | Kind::Broadcast, Target::Name(name)) => {
                let (name, family) = (name.clone(), server.family);
                let id = self.add_server(now, server, None);
                self.names.add(now.mono, name, family, Purpose::Association(id), &mut self.timers);
            }
            _ => {
                let what = format!("{:?} {}", server.kind, target_words(&server.target)).to_lowercase();
                self.event(Event::NotSupported(what));
            }
        }
    }

    /// Whether no association has this address yet: ntpd makes one association of an address, whatever the lines say.
    /// Logs it, and remembers the line for the next reload.
    fn is_free(&mut self, address: Host, line: &Server) -> bool {
        if mode_of(line.kind) == Mode::Client {
            self.make_way(address);
        }
        let free = !self.sources.has_address(address, mode_of(line.kind), None);
        if !free {
            self.event(Event::DuplicateAddress { name: target_words(&line.target), address });
            self.sources.note_duplicate(line.clone());
        }
        free
    }

    /// Makes an association with a server, a pool member, a peer or a network, whose address may be known later.
    pub(super) fn add_server(&mut self, now: Now, mut line: Server, address: Option<Host>) -> AssocId {
        if self.setup.quit_after_set {
            line.iburst = true;
        }
        let id = self.sources.free_id();
        let first_poll = now.mono + self.first_poll();
        if address.is_some() {
            self.timers.set(Timer::Poll(id), first_poll);
        }
        let kind = match line.kind {
            Kind::Peer => Symmetric::active(line.minpoll).into(),
            Kind::Broadcast => Announcer::default().into(),
            Kind::Pool if line.solicits() => Prototype::default().into(),
            Kind::ManycastClient => Beacon::new(line.version).into(),
            _ => Client::new(&line).into(),
        };
        self.add(Draft { id, line, kind, address, made: first_poll, origin: Origin::Configured });
        self.sources_changed();
        id
    }

    /// Makes the association with a host that its packet asks for. It is polled `begins` from now on.
    pub(super) fn add_ephemeral(
        &mut self,
        now: Now,
        rx: &Rx<'_>,
        line: Server,
        kind: sources::Kind,
        begins: Seconds,
    ) -> AssocId {
        let id = self.sources.free_id();
        self.timers.set(Timer::Poll(id), now.mono + begins);
        self.sources.note_ephemeral(now.mono);
        let (address, origin) = (Some(Host::from(rx.from)), Origin::Ephemeral);
        self.add(Draft { id, line, kind, address, made: now.mono, origin });
        self.sources_changed();
        id
    }

    /// Makes an association with a reference clock, and asks for its device.
    fn add_reference(&mut self, now: Now, server: Server) {
        // Of a type without a driver, what to use instead was logged when the configuration was read.
        let Some(clock) = server.target.clock().and_then(Reference::new) else { return };
        let address = clock.address();
        if let Some(id) = self.add_clock(now, server, clock.into(), address) {
            self.timers.set(Timer::Poll(id), now.mono + FIRST_READINGS);
            self.open_device(id);
        }
    }

    /// Makes an association with a clock of this machine, unless it has one.
    fn add_clock(&mut self, now: Now, line: Server, kind: sources::Kind, address: Host) -> Option<AssocId> {
        if !self.is_free(address, &line) {
            return None;
        }
        let id = self.sources.free_id();
        self.timers.set(Timer::Poll(id), now.mono);
        let (address, origin) = (Some(address), Origin::Configured);
        self.add(Draft { id, line, kind, address, made: now.mono, origin });
        Some(id)
    }

    pub(super) fn add(&mut self, draft: Draft) {
        let source = Source::new(draft, self.clock.new_estimator(), self.system.precision());
        let peer = self.sources.add(source).note_event(PeerEvent::Mobilize);
        self.event(Event::Mobilized(peer));
    }

    /// Ends an association, a pool with its servers; gives whether there was one.
    pub(super) fn demobilize(&mut self, id: AssocId) -> bool {
        let Some(mut gone) = self.sources.remove(id) else { return false };
        self.timers.clear(Timer::Poll(id));
        self.timers.clear(Timer::Keys(id));
        if gone.as_reference().is_some() {
            self.timers.clear(Timer::Device(id));
            self.outbox.push(Output::CloseClock(id));
        }
        self.event(Event::Demobilized(gone.note_event(PeerEvent::Demobilize)));
        self.names.forget_association(id, &mut self.timers);
        let of_it = |source: &&Source| source.made_by() == Some(id);
        for member in self.sources.iter().filter(of_it).map(Source::id).collect::<Vec<_>>() {
            self.demobilize(member);
        }
        if let Some(pool) = gone.made_by().and_then(|by| self.sources.get_mut(by)) {
            pool.member_lost(self.moment.mono, &mut self.timers);
            if pool.nts().is_some_and(|nts| !nts.is_running()) {
                let by = pool.id();
                self.timers.clear(Timer::Keys(by));
                self.want_keys(self.moment, by);
            }
        }
        self.sources_changed();
        true
    }

    /// `restrict source` follows the set of our servers.
    pub(super) fn sources_changed(&mut self) {
        self.server.access_mut().set_sources(&self.sources.addresses());
    }

    /// How long after it was made an association is polled for the first time.
    pub(super) fn first_poll(&mut self) -> Seconds {
        Seconds::new(self.chance() * FIRST_POLLS)
    }

    /// A random number in 0..1.
    pub(super) fn chance(&mut self) -> f64 {
        f64::from(self.rng.next_u32()) / 4_294_967_296.0
    }
}

/// The mode of the packets that such a line sends.
pub(super) const fn mode_of(kind: Kind) -> Mode {
    match kind {
        Kind::Server | Kind::Pool | Kind::ManycastClient => Mode::Client,
        Kind::Peer => Mode::SymmetricActive,
        Kind::Broadcast => Mode::Broadcast,
    }
}

fn target_words(target: &Target) -> String {
    match target {
        Target::Address(address) => address.to_string(),
        Target::Name(name) => name.clone(),
        Target::LocalClock { unit } => format!("127.127.1.{unit}"),
        Target::RefClock { kind, unit } => format!("127.127.{kind}.{unit}"),
    }
}
