//! Making, naming, polling and ending associations.

use crate::config::model::{Kind, RestrictTarget, Server, Target};
use crate::engine::Engine;
use crate::engine::contract::{ExitReason, LookupError, LookupId, Now, Output};
use crate::engine::estimator::Sample;
use crate::engine::report::event::Event;
use crate::engine::sources::association::Association;
use crate::engine::sources::names::Purpose;
use crate::units::{AssocId, Host, Leap, MonoTime, RefId, Seconds, Stratum};
use crate::wire::event::PeerEvent;
use rand_chacha::rand_core::Rng;
use std::net::{IpAddr, Ipv4Addr};

/// Stratum of the local clock without `fudge` (4.2.6).
const LOCAL_STRATUM: Stratum = Stratum::new(5);
/// Root dispersion of the local clock, as ntpd gives it.
const LOCAL_DISPERSION: Seconds = Seconds::new(0.010);
/// Poll interval of the local clock, seconds.
const LOCAL_POLL: Seconds = Seconds::new(64.0);
/// Servers are polled for the first time within this span after the start, seconds.
const FIRST_POLLS: f64 = 0.5;
/// How long after the start the servers' first bursts are waited for: two answers, with several packets lost.
pub(in crate::engine) const START_PATIENCE: Seconds = Seconds::new(20.0);
/// With `-q`, how long names may take to resolve, seconds.
const QUIT_PATIENCE: Seconds = Seconds::new(60.0);
/// With `-q`, how long the answer to the last packet of a burst may take, seconds.
const QUIT_ANSWER: Seconds = Seconds::new(4.0);

impl Association {
    /// What the local clock says of itself, by its `fudge` line.
    pub(in crate::engine) fn fudge_local(&mut self) {
        let fudge = &self.config.fudge;
        self.header.stratum = fudge.stratum.unwrap_or(LOCAL_STRATUM);
        self.header.refid = fudge.refid.unwrap_or(RefId::LOCL);
    }

    /// Whether the association has a poll process.
    #[must_use]
    pub(in crate::engine) fn is_polled(&self) -> bool {
        !self.denied && (self.is_local_clock() || self.address.is_some())
    }
}

impl Engine {
    /// Makes the association that a configuration line asks for.
    pub(in crate::engine) fn mobilize(&mut self, now: Now, server: Server) {
        match (&server.kind, &server.target) {
            (Kind::Server, Target::LocalClock { unit }) => {
                let address = IpAddr::V4(Ipv4Addr::new(127, 127, 1, *unit));
                if self.is_free(address.into(), server.clone()) {
                    self.add_local_clock(now, server, address.into());
                }
            }
            (Kind::Server | Kind::Pool, Target::Address(address)) => {
                let host = Host::from(*address);
                if host.is_no_server() {
                    self.event(Event::InvalidAddress(host));
                } else if self.is_free(host, server.clone()) {
                    self.add_association(now, server, Some(host));
                }
            }
            (Kind::Server | Kind::Pool, Target::Name(name)) => {
                let (name, family) = (name.clone(), server.family);
                let id = self.add_association(now, server, None);
                self.names.add(now.mono, name, family, Purpose::Association(id));
            }
            _ => {
                let what = format!("{:?} {}", server.kind, target_words(&server.target)).to_lowercase();
                self.event(Event::NotSupported(what));
            }
        }
    }

    /// Whether no association has this address yet: ntpd makes one association of an address, whatever the lines say.
    /// Logs it, and remembers the line for the next reload.
    fn is_free(&mut self, address: Host, server: Server) -> bool {
        let free = self.associations.iter().all(|a| a.address != Some(address));
        if !free {
            self.event(Event::DuplicateAddress { name: target_words(&server.target), address });
            self.duplicates.push(server);
        }
        free
    }

    fn add_association(&mut self, now: Now, mut server: Server, address: Option<Host>) -> AssocId {
        if self.setup.quit_after_set {
            server.iburst = true;
        }
        let id = self.new_id();
        let first = now.mono + Seconds::new(self.chance() * FIRST_POLLS);
        let estimator = self.discipline.new_estimator();
        let mut association = Association::new(id, server, address, estimator, first);
        let peer = association.note_event(PeerEvent::Mobilize);
        self.associations.push(association);
        self.event(Event::Mobilized(peer));
        self.sources_changed();
        id
    }

    fn add_local_clock(&mut self, now: Now, server: Server, address: Host) {
        let id = self.new_id();
        let estimator = self.discipline.new_estimator();
        let mut association = Association::new(id, server, Some(address), estimator, now.mono);
        association.local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        association.header.leap = Leap::None;
        association.fudge_local();
        association.header.precision = self.machine.precision;
        association.header.root_dispersion = LOCAL_DISPERSION;
        association.poll = association.config.minpoll;
        let peer = association.note_event(PeerEvent::Mobilize);
        self.associations.push(association);
        self.event(Event::Mobilized(peer));
    }

    /// Ends an association; gives whether there was one.
    pub(in crate::engine) fn demobilize(&mut self, id: AssocId) -> bool {
        let Some(index) = self.associations.iter().position(|a| a.id == id) else { return false };
        let mut gone = self.associations.remove(index);
        let peer = gone.note_event(PeerEvent::Demobilize);
        self.event(Event::Demobilized(peer));
        self.names.retain(|purpose| !matches!(purpose, Purpose::Association(other) if *other == id));
        self.sources_changed();
        true
    }

    /// `restrict source` follows the set of our servers.
    pub(in crate::engine) fn sources_changed(&mut self) {
        let sources: Vec<IpAddr> =
            self.associations.iter().filter_map(Association::endpoint).map(|e| e.ip()).collect();
        self.access.set_sources(&sources);
    }

    fn new_id(&mut self) -> AssocId {
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if self.associations.iter().all(|a| a.id.0 != self.next_id) {
                return AssocId(self.next_id);
            }
        }
    }

    /// A random number in 0..1.
    pub(in crate::engine) fn chance(&mut self) -> f64 {
        f64::from(self.rng.next_u32()) / 4_294_967_296.0
    }

    /// Asks for the addresses of the names in restrict lines.
    pub(in crate::engine) fn add_restrict_names(&mut self, now: Now) {
        for line in self.setup.config.restrict.clone() {
            if let RestrictTarget::Name(name, family) | RestrictTarget::Around { name, family, .. } =
                &line.target
            {
                self.names.add(now.mono, name.clone(), *family, Purpose::Restrict(line.clone()));
            }
        }
    }

    pub(in crate::engine) fn name_answered(
        &mut self,
        now: Now,
        id: LookupId,
        result: Result<Vec<Host>, LookupError>,
    ) {
        let reason = match result {
            Ok(hosts) => match self.name_resolved(now, id, hosts) {
                Ok(()) => return,
                Err(reason) => reason,
            },
            Err(error) => error.text,
        };
        // One that has an address goes on with it, and asks again in its time.
        if let Some(Purpose::Association(wanting)) = self.names.find(id).map(|lookup| &lookup.purpose)
            && self.associations.iter().any(|a| a.id == *wanting && a.address.is_some())
        {
            self.names.resolved(id);
        } else if let Some((name, retry)) = self.names.failed(now.mono, id) {
            self.event(Event::NameFailed { name, reason, retry });
        }
    }

    /// Takes the addresses of a name.
    ///
    /// # Errors
    /// Why none of them can be used; the name goes on waiting.
    fn name_resolved(&mut self, now: Now, id: LookupId, mut hosts: Vec<Host>) -> Result<(), String> {
        let Some(lookup) = self.names.find(id) else { return Ok(()) };
        let for_server = matches!(lookup.purpose, Purpose::Association(_));
        hosts.retain(|host| lookup.family.admits(host.ip));
        let Some(first) = hosts.first().copied() else {
            return Err("no address of the wanted family".to_owned());
        };
        hosts.retain(|host| !(for_server && host.is_no_server()));
        if hosts.is_empty() {
            return Err(Event::InvalidAddress(first).text());
        }
        let Some(lookup) = self.names.resolved(id) else { return Ok(()) };
        match lookup.purpose {
            Purpose::Restrict(line) => {
                let addresses: Vec<IpAddr> = hosts.iter().map(|host| host.ip).collect();
                self.access.insert_resolved(&self.setup.config.restrict, &line, &addresses);
            }
            Purpose::Association(id) => self.give_address(now, id, &lookup.name, &hosts),
        }
        Ok(())
    }

    /// Gives an association the first address that no other one has; a pool takes more of them. Where others have all
    /// of them, there is nothing left to ask.
    fn give_address(&mut self, now: Now, id: AssocId, name: &str, hosts: &[Host]) {
        let taken = |host: &Host| self.associations.iter().any(|a| a.address == Some(*host) && a.id != id);
        let free: Vec<Host> = hosts.iter().copied().filter(|host| !taken(host)).collect();
        let delay = self.chance() * FIRST_POLLS;
        let Some(index) = self.associations.iter().position(|a| a.id == id) else { return };
        if self.associations[index].address.is_some() {
            self.next_address(now, index, name, &free);
            return;
        }
        let config = self.associations[index].config.clone();
        let Some(address) = free.first().copied() else {
            if let Some(address) = hosts.first().copied() {
                self.event(Event::DuplicateAddress { name: name.to_owned(), address });
            }
            self.duplicates.push(config);
            self.demobilize(id);
            return;
        };
        self.associations[index].address = Some(address);
        self.associations[index].next_poll = now.mono + Seconds::new(delay);
        self.event(Event::NameResolved { name: name.to_owned(), address });
        if config.kind == Kind::Pool {
            for more in free.into_iter().skip(1) {
                if self.associations.len() >= self.setup.config.tos.maxclock as usize {
                    break;
                }
                self.add_association(now, config.clone(), Some(more));
            }
        }
        self.sources_changed();
    }

    /// The name of an association that gets no response has these free addresses now: another one than it has, and
    /// one that was not tried in this round, if there is one.
    fn next_address(&mut self, now: Now, index: usize, name: &str, free: &[Host]) {
        let delay = self.chance() * FIRST_POLLS;
        let estimator = self.discipline.new_estimator();
        let association = &mut self.associations[index];
        let Some(address) = association.choose_next(free) else { return };
        association.move_to(address, estimator, now.mono + Seconds::new(delay));
        self.event(Event::NameResolved { name: name.to_owned(), address });
        self.sources_changed();
    }

    /// Has the name of an association that gets no response looked up again.
    fn look_again(&mut self, now: Now, index: usize) {
        let association = &self.associations[index];
        if let Target::Name(name) = &association.config.target
            && !self.names.waits(association.id)
        {
            let (name, family) = (name.clone(), association.config.family);
            self.names.add(now.mono, name, family, Purpose::Association(association.id));
        }
    }

    /// Polls everybody who is due.
    pub(in crate::engine) fn poll_all(&mut self, now: Now) {
        let wanted = self.discipline.poll(now.mono);
        let mut news = false;
        for index in 0..self.associations.len() {
            if self.associations[index].is_local_clock() {
                self.poll_local_clock(now, index);
                continue;
            }
            // Nothing is drawn for those that are not due: what else happens moves no poll.
            if now.mono < self.associations[index].next_poll {
                continue;
            }
            if self.associations[index].gives_up(now.mono) {
                self.look_again(now, index);
            }
            let jitter = self.chance();
            let floor = self.system.floor();
            let association = &mut self.associations[index];
            let polled = association.poll_if_due(now.mono, wanted, jitter);
            news |= polled.lost || polled.spent;
            if polled.lost {
                association.filter.push_missing(now.mono, floor);
                let peer = association.note_event(PeerEvent::Unreachable);
                self.event(Event::Unreachable(peer));
            }
            if polled.send {
                self.send_request(now, index);
            }
        }
        if news {
            self.update_clock(now);
        }
    }

    /// A source changed, or our clock: it is asked again soon, and, when that is new, so are all the others, who
    /// know which of the two it was.
    pub(in crate::engine) fn hasten(&mut self, index: usize, all: bool) {
        for (other, association) in self.associations.iter_mut().enumerate() {
            if (all || other == index) && !association.is_local_clock() {
                association.hasten();
            }
        }
    }

    fn send_request(&mut self, now: Now, index: usize) {
        let cookie = self.rng.next_u64();
        self.next_token += 1;
        let association = &mut self.associations[index];
        association.choose_mac();
        let Some(mut tx) = association.request(now, cookie, self.next_token, self.epoch) else { return };
        let association = &mut self.associations[index];
        association.tally.sends(now.mono, association.config.minpoll);
        if let Some(key) = self.associations[index].config.key {
            let whole = self.associations[index].whole_mac;
            self.keys.sign_as(key, whole, &mut tx.data);
        }
        self.outputs.push_back(Output::Send(tx));
    }

    /// The local clock always answers: it is this clock.
    fn poll_local_clock(&mut self, now: Now, index: usize) {
        let floor = self.system.floor();
        let association = &mut self.associations[index];
        if now.mono < association.next_poll {
            return;
        }
        let first = association.reach == 0;
        association.reach = association.reach << 1 | 1;
        association.last_poll = Some(now.mono);
        association.last_answer = Some(now.mono);
        association.tally.sent += 1;
        association.tally.received += 1;
        association.tally.reached.get_or_insert(now.mono);
        association.received = now.wall;
        association.next_poll = now.mono + LOCAL_POLL;
        let sample = Sample {
            at: now.mono,
            offset: Seconds::ZERO,
            delay: Seconds::ZERO,
            reading_error: Seconds::ZERO,
        };
        // Nothing is measured: there is nothing to estimate, and nothing is gained by waiting for eight samples.
        for _ in 0..if first { crate::engine::sources::filter::STAGES } else { 1 } {
            association.note_sample(&sample, floor);
        }
        if first {
            let peer = association.note_event(PeerEvent::Reachable);
            self.event(Event::Reachable(peer));
        }
        self.record_peer(now, index);
        self.update_clock(now);
    }

    /// Whether servers are still in the burst with which they start: the local clock waits for them.
    pub(in crate::engine) fn servers_starting(&self, now: MonoTime) -> bool {
        now.since(self.started) < START_PATIENCE
            && self.associations.iter().any(|a| a.is_starting() || a.may_count() && a.reach != 0)
    }

    /// With `-q`: when it is to be checked whether anybody will still answer.
    pub(in crate::engine) fn quit_deadline(&self) -> Option<MonoTime> {
        if !self.setup.quit_after_set {
            return None;
        }
        let last = self.associations.iter().filter_map(|a| a.last_poll).max().unwrap_or(self.started);
        let waiting =
            self.names.any_waiting() || self.associations.iter().any(|a| a.is_polled() && a.burst > 0);
        Some(if waiting { self.started + QUIT_PATIENCE } else { last + QUIT_ANSWER })
    }

    /// With `-q`: nobody answered and nobody will.
    pub(in crate::engine) fn quit_if_hopeless(&mut self, now: Now) {
        let servers_left =
            self.associations.iter().any(|a| !a.is_local_clock() && a.is_polled() && !a.started);
        if self.quit_deadline().is_some_and(|due| now.mono >= due) && !servers_left {
            self.exit(ExitReason::NoServer);
        }
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
