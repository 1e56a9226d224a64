//! NTS: when keys are exchanged, what their exchange brings, and what a pool makes of it.

use super::pools::member;
use crate::config::model::{Config, Kind, OFFERED, Server, Target};
use crate::engine::Engine;
use crate::engine::contract::{
    CertificateCheck, CookieOrigin, CookieSource, Established, FailureClass, Kept, KeyFailure, KeyRequest,
    Now, Output,
};
use crate::engine::reject::Reject;
use crate::engine::report::event::Event;
use crate::engine::sources::nts::{Need, NtsState, Opened, RANDOM_LEN, ResponseHeader};
use crate::engine::sources::{Arrival, Client, Draft, Mac, Origin, Source};
use crate::engine::timers::Timer;
use crate::units::{AssocId, Host, PIVOT, Seconds};
use crate::wire::Header;
use crate::wire::counter::Counter;
use crate::wire::kiss;
use crate::wire::nts::KE_PORT;
use rand_chacha::rand_core::Rng;
use std::net::IpAddr;

/// An exchange of which nothing is heard for so long is begun anew, seconds: the shell gives one up sooner.
const LOST: Seconds = Seconds::new(120.0);
/// How soon a pool exchanges keys with its next server, seconds.
const NEXT_MEMBER: Seconds = Seconds::new(1.0);

impl Engine {
    /// Has the keys of an association exchanged as soon as they may be, unless that is under way or planned.
    pub(super) fn want_keys(&mut self, now: Now, id: AssocId) {
        let jitter = self.chance();
        let timer = Timer::Keys(id);
        let Some(nts) = self.sources.get(id).and_then(Source::nts) else { return };
        if !nts.is_running() && self.timers.get(timer).is_none() {
            self.timers.set(timer, nts.next_exchange(now.mono, jitter));
        }
    }

    /// Something changed that may let exchanges succeed that failed: the network, the clock, the configuration.
    pub(in crate::engine) fn want_keys_anew(&mut self, now: Now) {
        for id in self.sources.ids() {
            let Some(nts) = self.sources.get_mut(id).and_then(Source::nts_mut) else { continue };
            if !nts.is_running() && nts.failure().is_some() {
                nts.forgive();
                self.timers.clear(Timer::Keys(id));
                self.want_keys(now, id);
            }
        }
    }

    /// Exchanges keys where that is due.
    pub(in crate::engine) fn exchange_keys_due(&mut self, now: Now) {
        for id in self.sources.ids() {
            if self.timers.is_due(Timer::Keys(id), now.mono) {
                self.exchange_keys(now, id);
            }
        }
    }

    fn exchange_keys(&mut self, now: Now, id: AssocId) {
        let wanted = self.demand().wanted;
        let check = self.certificate_check(id);
        let Some(source) = self.sources.get_mut(id) else { return };
        let line = source.config().clone();
        if line.solicits() && wanted == 0 {
            // Another server may be wanted later.
            self.timers.set(Timer::Keys(id), now.mono + line.minpoll.interval());
            return;
        }
        let Some(nts) = source.nts_mut() else { return };
        let from = if nts.begin(now.mono) && !line.solicits() {
            CookieSource::DiskFirst
        } else {
            CookieSource::Server
        };
        self.timers.set(Timer::Keys(id), now.mono + LOST);
        let avoid =
            self.sources.iter().filter(|s| s.id() != id).filter_map(Source::address).map(|host| host.ip);
        let request = key_request(&self.setup.config, &line, check, avoid.collect(), from);
        self.outbox.push(Output::Establish { id, request: Box::new(request) });
    }

    /// What a certificate must show now.
    fn certificate_check(&self, id: AssocId) -> CertificateCheck {
        let noval = self.sources.get(id).and_then(|s| s.config().nts.as_ref()).is_some_and(|nts| nts.noval);
        if noval {
            CertificateCheck::Nothing
        } else if self.sources.clock_updates() < self.setup.config.nts.time_check {
            CertificateCheck::NotDates
        } else {
            CertificateCheck::Whole
        }
    }

    /// An exchange ended.
    pub(in crate::engine) fn keys_established(
        &mut self,
        now: Now,
        id: AssocId,
        result: Result<Box<Established>, KeyFailure>,
    ) {
        self.timers.clear(Timer::Keys(id));
        if !self.sources.get(id).and_then(Source::nts).is_some_and(NtsState::is_running) {
            return;
        }
        match result.and_then(with_a_server) {
            Ok(given) => {
                // Those from the disk are the earlier process's.
                if given.origin == CookieOrigin::Server {
                    self.server.counters_mut().count(Counter::KeProbesGood);
                }
                self.keys_given(now, id, *given);
            }
            Err(failure) => {
                self.count_failure(failure.class);
                self.keys_failed(now, id, failure);
            }
        }
    }

    fn count_failure(&mut self, class: FailureClass) {
        let counters = self.server.counters_mut();
        counters.count(Counter::KeProbesBad);
        counters.count(match class {
            FailureClass::Name => Counter::KeProbesName,
            FailureClass::Connection => Counter::KeProbesConnection,
            FailureClass::Tls => Counter::KeProbesTls,
            FailureClass::Protocol => Counter::KeProbesProtocol,
        });
    }

    fn keys_failed(&mut self, now: Now, id: AssocId, failure: KeyFailure) {
        let jitter = self.chance();
        let Some(source) = self.sources.get_mut(id) else { return };
        let server = server_words(source.config());
        let Some(nts) = source.nts_mut() else { return };
        let reason = failure.text.clone();
        nts.failed(failure);
        let next = nts.next_exchange(now.mono, jitter);
        self.timers.set(Timer::Keys(id), next);
        self.event(Event::KeysFailed { server, reason, retry: next.since(now.mono) });
    }

    fn keys_given(&mut self, now: Now, id: AssocId, given: Established) {
        let check = self.certificate_check(id);
        let Some(source) = self.sources.get(id) else { return };
        let (line, old) = (source.config().clone(), source.address());
        let host = given.host;
        if line.solicits() {
            return self.member_given(now, id, &line, given, check);
        }
        let event = Event::KeysEstablished {
            server: server_words(&line),
            aead: given.aead,
            cookies: given.cookies.len(),
            address: host,
            port: given.port,
        };
        if old != Some(host) && !self.move_to(now, id, &line, host) {
            return;
        }
        self.event(event);
        let first_poll = now.mono + self.first_poll();
        let Some(source) = self.sources.get_mut(id) else { return };
        let starts = old == Some(host) && !source.reach().is_reachable();
        if let Some(nts) = source.nts_mut() {
            nts.established(given, check, now.mono);
        }
        if starts {
            self.timers.set(Timer::Poll(id), first_poll);
        }
    }

    /// An association gets the address of its NTP server, the first one or another; false if another association has it, and this
    /// one ends.
    fn move_to(&mut self, now: Now, id: AssocId, line: &Server, host: Host) -> bool {
        let name = server_words(line);
        if self.sources.get(id).is_some_and(|source| source.address().is_some()) {
            self.next_address(now, id, &name, &[host]);
        } else {
            self.give_address(now, id, &name, &[host]);
        }
        self.sources.get(id).is_some()
    }

    /// The exchange of a pool gave a server: it becomes a source, unless there is one with its address.
    fn member_given(
        &mut self,
        now: Now,
        by: AssocId,
        line: &Server,
        given: Established,
        check: CertificateCheck,
    ) {
        let (host, jitter) = (given.host, self.chance());
        let own = self.server.is_own(host.ip);
        let taken = own || self.sources.has_address(host, crate::wire::Mode::Client, None);
        let Some(nts) = self.sources.get_mut(by).and_then(Source::nts_mut) else { return };
        if taken {
            nts.in_vain();
            let next = nts.next_exchange(now.mono, jitter);
            self.timers.set(Timer::Keys(by), next);
            return;
        }
        nts.member_found();
        self.timers.set(Timer::Keys(by), now.mono + NEXT_MEMBER);
        self.event(Event::KeysEstablished {
            server: server_words(line),
            aead: given.aead,
            cookies: given.cookies.len(),
            address: host,
            port: given.port,
        });
        let line = member(line, host);
        let id = self.sources.free_id();
        let first_poll = now.mono + self.first_poll();
        self.timers.set(Timer::Poll(id), first_poll);
        let (kind, address, origin) = (Client::new(&line).into(), Some(host), Origin::Preemptible { by });
        self.add(Draft { id, line, kind, address, made: now.mono, origin });
        if let Some(nts) = self.sources.get_mut(id).and_then(Source::nts_mut) {
            *nts = NtsState::begun_with(given, check, now.mono);
        }
        self.sources_changed();
    }

    /// Before a poll of an association with NTS: has its keys exchanged if that is due. A server of a pool whose keys are of no use
    /// any more ends, and the pool finds another one: what the pool's name exchanges keys for may be any of its servers.
    /// Gives whether a request can be sent.
    pub(super) fn keys_before_poll(&mut self, now: Now, id: AssocId) -> bool {
        let Some(source) = self.sources.get(id) else { return false };
        let Some(nts) = source.nts() else { return true };
        let (need, can_ask) = (nts.need(now.mono), nts.can_ask());
        match (need, source.made_by()) {
            (Some(Need::Nothing), Some(_)) => {
                self.demobilize(id);
            }
            (Some(_), None) => self.want_keys(now, id),
            (Some(Need::Renewal), Some(_)) | (None, _) => {}
        }
        can_ask
    }

    /// Seals a request of an association with NTS; false if it cannot be sent.
    pub(super) fn seal_request(&mut self, id: AssocId, packet: &mut Vec<u8>) -> bool {
        let mut random = [0; RANDOM_LEN];
        self.rng.fill_bytes(&mut random);
        let Some(nts) = self.sources.get_mut(id).and_then(Source::nts_mut) else { return true };
        let sealed = nts.seal(packet, &random).is_some();
        if sealed {
            self.server.counters_mut().count(Counter::NtsClientSent);
        }
        sealed
    }

    /// Whether a packet of this source is sealed with its keys; without NTS what its MAC is worth.
    ///
    /// # Errors
    /// It is a NAK, which is noted.
    pub(super) fn unseal(&mut self, id: AssocId, arrival: &Arrival<'_>) -> Result<Mac, Reject> {
        let Arrival { rx, header, mac, .. } = *arrival;
        let Some(source) = self.sources.get_mut(id) else { return Err(Reject::Unasked) };
        let is_nak = header.stratum == 0 && header.reference_id == kiss::NTS_NAK;
        if source.nts().is_none() || is_nak && !source.awaits(header.origin) {
            return Ok(if source.nts().is_none() { mac } else { Mac::Wrong });
        }
        let kind = if is_nak { ResponseHeader::Nak } else { ResponseHeader::Time(leaves(header)) };
        let opened = source.nts_mut().map_or(Opened::Forged, |nts| nts.open(rx.data, kind));
        match opened {
            Opened::Genuine => self.server.counters_mut().count(Counter::NtsClientGood),
            Opened::Nak => {
                let (address, reason) = (source.shown_address(), source.rejects(Reject::Auth));
                self.event(Event::CookieRefused(address));
                return Err(reason);
            }
            Opened::Forged => self.server.counters_mut().count(Counter::NtsClientBad),
        }
        Ok(if opened == Opened::Genuine { Mac::AsWanted } else { Mac::Wrong })
    }

    /// The clock was updated: from the last update on that `nts time-check` waits for, certificates whose dates were not looked at are
    /// looked at again.
    pub(super) fn clock_updated(&mut self, now: Now) {
        let limit = self.setup.config.nts.time_check;
        if self.sources.note_clock_update() == limit {
            let undated = |s: &&Source| s.nts().is_some_and(NtsState::is_undated);
            for id in self.sources.iter().filter(undated).map(Source::id).collect::<Vec<_>>() {
                self.want_keys(now, id);
            }
        }
    }

    /// Keeps the cookies for the next process.
    pub(in crate::engine) fn keep_cookies(&mut self) {
        if self.setup.config.nts.dump.is_none() {
            return;
        }
        for source in self.sources.iter().filter(|s| s.made_by().is_none()) {
            if let Some(given) = source.nts().and_then(NtsState::to_keep) {
                let (server, port) = name_and_port(source.config());
                let kept = Kept { server, port, established: given.clone() };
                self.outbox.push(Output::KeepCookies(Box::new(kept)));
            }
        }
    }
}

/// What an exchange gave, if the NTP server that it names can be one.
fn with_a_server(given: Box<Established>) -> Result<Box<Established>, KeyFailure> {
    let host = given.host;
    if !host.is_no_server() {
        return Ok(given);
    }
    let text = format!("it names {host} as its NTP server, which is no server's address");
    Err(KeyFailure { class: FailureClass::Protocol, text })
}

/// When a packet left by its transmit timestamp, seconds since 1970.
fn leaves(header: &Header) -> i64 {
    header.transmit.to_unix(PIVOT).0
}

fn name_and_port(line: &Server) -> (String, u16) {
    let server = match &line.target {
        Target::Address(address) => address.to_string(),
        Target::Name(name) => name.clone(),
        Target::LocalClock { .. } | Target::RefClock { .. } => String::new(),
    };
    (server, line.nts.as_ref().and_then(|nts| nts.port).unwrap_or(KE_PORT))
}

/// The server of a line's key exchange, for the log: `time.example:4460`.
fn server_words(line: &Server) -> String {
    let (server, port) = name_and_port(line);
    if server.contains(':') { format!("[{server}]:{port}") } else { format!("{server}:{port}") }
}

fn key_request(
    config: &Config,
    line: &Server,
    check: CertificateCheck,
    avoid: Vec<IpAddr>,
    from: CookieSource,
) -> KeyRequest {
    debug_assert!(matches!(line.kind, Kind::Server | Kind::Pool), "only servers exchange keys: {line:?}");
    let (server, port) = name_and_port(line);
    let nts = line.nts.clone().unwrap_or_default();
    let aeads =
        [nts.aeads, config.nts.aeads.clone(), OFFERED.to_vec()].into_iter().find(|list| !list.is_empty());
    KeyRequest {
        server,
        port,
        family: line.family,
        ca: nts.ca.or_else(|| config.nts.ca.clone()),
        check,
        aeads: aeads.unwrap_or_default(),
        avoid,
        from,
    }
}
