//! One key exchange from the name of the server to that of the NTP server: lookups, connections, TLS.

use super::exchange::{Exchange, Granted, failure};
use super::roots;
use super::tls;
use super::verify::{Known, Verifier};
use crate::config::model::Family;
use crate::daemon::files;
use crate::daemon::net::resolver::{Answer, Resolver};
use crate::engine::contract::{
    CertificateCheck, CookieOrigin, Established, FailureClass, KeyFailure, KeyRequest, LookupId,
};
use crate::sys::clock;
use crate::units::{Host, MonoTime, NTP_PORT, Seconds};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;

/// How long a key exchange may take, lookups included.
pub(super) const PATIENCE: Seconds = Seconds::new(16.0);
/// How long an address is tried at least before the next one.
const ATTEMPT: Seconds = Seconds::new(1.0);
/// Lookups of key exchanges have this bit: the engine counts its own from one.
const LOOKUP: u64 = 1 << 63;

/// What is around a session while it does something.
pub(super) struct Around<'a> {
    pub(super) registry: &'a Registry,
    pub(super) resolver: &'a mut Resolver,
    pub(super) now: MonoTime,
    pub(super) token: Token,
    /// The number of the last lookup.
    pub(super) lookups: &'a mut u64,
    pub(super) known: Known,
}

impl Around<'_> {
    fn look_up(&mut self, name: String, family: Family) -> LookupId {
        *self.lookups += 1;
        let id = LookupId(LOOKUP | *self.lookups);
        self.resolver.request(id, name, family);
        id
    }
}

/// Whether a lookup is one of key exchanges.
pub(super) const fn is_ours(id: LookupId) -> bool {
    id.0 & LOOKUP != 0
}

/// What a step gave: nothing yet, or the end.
pub(super) type Step = Result<Option<Box<Established>>, KeyFailure>;

/// A key exchange.
#[derive(Debug)]
pub(super) struct Session {
    request: KeyRequest,
    until: MonoTime,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Nothing has been done.
    New,
    /// The server's name is being looked up.
    Lookup(LookupId),
    Connect(Attempt),
    Talk {
        stream: TcpStream,
        host: Host,
        exchange: Box<Exchange>,
    },
    /// The name of the NTP server is being looked up.
    ServerLookup {
        id: LookupId,
        name: String,
        connected: Host,
        established: Box<Established>,
    },
}

#[derive(Debug)]
struct Attempt {
    stream: TcpStream,
    host: Host,
    until: MonoTime,
    others: VecDeque<Host>,
}

impl Session {
    pub(super) fn new(request: KeyRequest, now: MonoTime) -> Self {
        Self { request, until: now + PATIENCE, phase: Phase::New }
    }

    /// When [`Session::due`] is to be called.
    pub(super) fn deadline(&self) -> MonoTime {
        match &self.phase {
            Phase::Connect(attempt) => attempt.until.min(self.until),
            _ => self.until,
        }
    }

    /// Whether it waits for this lookup.
    pub(super) fn waits_for(&self, lookup: LookupId) -> bool {
        matches!(&self.phase, Phase::Lookup(id) | Phase::ServerLookup { id, .. } if *id == lookup)
    }

    pub(super) fn begin(&mut self, around: &mut Around<'_>) -> Step {
        let KeyRequest { server, family, .. } = &self.request;
        match server.parse::<IpAddr>() {
            Ok(ip) if family.admits(ip) => self.connect([Host::from(ip)].into(), around),
            Ok(_) => Err(failure(
                FailureClass::Name,
                format!("{server} is no address of the family that is wanted"),
            )),
            Err(_) => {
                self.phase = Phase::Lookup(around.look_up(server.clone(), *family));
                Ok(None)
            }
        }
    }

    /// A lookup that it waits for has ended.
    pub(super) fn resolved(&mut self, answer: Answer, around: &mut Around<'_>) -> Step {
        match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::Lookup(_) => match answer {
                Ok(hosts) => {
                    let avoid = &self.request.avoid;
                    let (known, others): (VecDeque<Host>, VecDeque<Host>) =
                        hosts.into_iter().partition(|host| avoid.contains(&host.ip));
                    self.connect(others.into_iter().chain(known).collect(), around)
                }
                Err(why) => {
                    let text = format!("cannot resolve {}: {}", self.request.server, why.text);
                    Err(failure(FailureClass::Name, text))
                }
            },
            Phase::ServerLookup { name, connected, mut established, .. } => {
                let hosts = answer.map_err(|why| {
                    let text = format!("cannot resolve {name}, the NTP server that it names: {}", why.text);
                    failure(FailureClass::Name, text)
                })?;
                let usable = || hosts.iter().filter(|host| !host.is_no_server());
                let near = usable().find(|host| host.ip.is_ipv4() == connected.ip.is_ipv4());
                let host = near.or_else(|| usable().next()).ok_or_else(|| no_server(&name))?;
                established.host = *host;
                Ok(Some(established))
            }
            other => {
                self.phase = other;
                Ok(None)
            }
        }
    }

    /// Its connection has something for it.
    pub(super) fn ready(&mut self, around: &mut Around<'_>) -> Step {
        match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::Connect(attempt) => match connection_of(&attempt.stream) {
                Ok(true) => self.talk(attempt, around),
                Ok(false) => {
                    self.phase = Phase::Connect(attempt);
                    Ok(None)
                }
                Err(why) => self.next_address(attempt, &why, around),
            },
            Phase::Talk { mut stream, host, mut exchange } => match exchange.go_on(&mut stream)? {
                Some(granted) => self.name_server(granted, &exchange, host, around),
                None => {
                    self.phase = Phase::Talk { stream, host, exchange };
                    Ok(None)
                }
            },
            other => {
                self.phase = other;
                Ok(None)
            }
        }
    }

    /// Its deadline has passed: that of an address, or of the whole.
    pub(super) fn due(&mut self, around: &mut Around<'_>) -> Step {
        let server = &self.request.server;
        let patience = PATIENCE.get();
        let (class, text) = match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::Connect(attempt) if around.now < self.until => {
                return self.next_address(attempt, &io::ErrorKind::TimedOut.into(), around);
            }
            Phase::New | Phase::Connect(_) => {
                (FailureClass::Connection, self.no_connection(&io::ErrorKind::TimedOut.into()))
            }
            Phase::Lookup(_) => (FailureClass::Name, format!("{server} did not resolve within {patience} s")),
            Phase::Talk { host, .. } => {
                let text = format!("{server} ({host}) gave no answer within {patience} s");
                (FailureClass::Connection, text)
            }
            Phase::ServerLookup { name, .. } => {
                (FailureClass::Name, format!("{name}, the NTP server that it names, did not resolve in time"))
            }
        };
        Err(failure(class, text))
    }

    /// Connects to the first of these that a connection can be begun with.
    fn connect(&mut self, mut hosts: VecDeque<Host>, around: &mut Around<'_>) -> Step {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        while let Some(host) = hosts.pop_front() {
            let begun = TcpStream::connect(host.at_port(self.request.port)).and_then(|mut stream| {
                let both = Interest::READABLE | Interest::WRITABLE;
                around.registry.register(&mut stream, around.token, both)?;
                Ok(stream)
            });
            match begun {
                Ok(stream) => {
                    // What is left of the time is for all that are left.
                    let share = (self.until - around.now).get() / (hosts.len() + 1) as f64;
                    let until = around.now + Seconds::new(share).max(ATTEMPT);
                    self.phase = Phase::Connect(Attempt { stream, host, until, others: hosts });
                    return Ok(None);
                }
                Err(why) => last = why,
            }
        }
        Err(failure(FailureClass::Connection, self.no_connection(&last)))
    }

    fn next_address(&mut self, attempt: Attempt, why: &io::Error, around: &mut Around<'_>) -> Step {
        let Attempt { host, others, .. } = attempt;
        if others.is_empty() {
            let text = format!("{} ({host})", self.no_connection(why));
            return Err(failure(FailureClass::Connection, text));
        }
        self.connect(others, around)
    }

    fn no_connection(&self, why: &io::Error) -> String {
        let KeyRequest { server, port, .. } = &self.request;
        let why = match why.kind() {
            io::ErrorKind::PermissionDenied => {
                "this machine's firewall or SELinux does not let us".to_owned()
            }
            io::ErrorKind::TimedOut => "no response; does a firewall block the port?".to_owned(),
            _ => files::words(why),
        };
        format!("cannot connect to TCP port {port} of {server}: {why}")
    }

    fn talk(&mut self, attempt: Attempt, around: &mut Around<'_>) -> Step {
        if !tls::has_randomness() {
            let text = "the kernel has gathered no randomness yet, or there is no /dev/urandom".to_owned();
            return Err(failure(FailureClass::Connection, text));
        }
        let KeyRequest { server, ca, check, aeads, .. } = &self.request;
        let roots = match check {
            CertificateCheck::Nothing => None,
            CertificateCheck::Whole | CertificateCheck::NotDates => {
                let roots = roots::load(ca.as_deref());
                Some(roots.map_err(|why| failure(FailureClass::Tls, why.to_string()))?)
            }
        };
        let verifier = Verifier::new(roots, *check, around.known);
        let exchange = Box::new(Exchange::new(server, aeads, verifier)?);
        self.phase = Phase::Talk { stream: attempt.stream, host: attempt.host, exchange };
        self.ready(around)
    }

    /// The keys are there; what is left is the address of the NTP server.
    fn name_server(
        &mut self,
        granted: Granted,
        exchange: &Exchange,
        connected: Host,
        around: &mut Around<'_>,
    ) -> Step {
        let Granted { response, keys, other_keys } = granted;
        let mut established = Box::new(Established {
            aead: response.aead,
            keys,
            other_keys,
            cookies: response.cookies,
            host: connected,
            port: response.port.unwrap_or(NTP_PORT),
            valid: exchange.valid(),
            made: clock::unix().0,
            origin: CookieOrigin::Server,
        });
        let Some(name) = response.server else { return Ok(Some(established)) };
        let family = self.request.family;
        if let Ok(ip) = name.parse::<IpAddr>() {
            established.host = ip.into();
            let usable = family.admits(ip) && !established.host.is_no_server();
            return if usable { Ok(Some(established)) } else { Err(no_server(&name)) };
        }
        // A name of this machine's domain is not meant.
        let full = if name.ends_with('.') { name.clone() } else { format!("{name}.") };
        let id = around.look_up(full, family);
        self.phase = Phase::ServerLookup { id, name, connected, established };
        Ok(None)
    }
}

fn no_server(name: &str) -> KeyFailure {
    failure(FailureClass::Protocol, format!("the NTP server that it names, {name}, cannot be used"))
}

/// Whether the connection stands.
fn connection_of(stream: &TcpStream) -> io::Result<bool> {
    if let Some(why) = stream.take_error()? {
        return Err(why);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(why) => Err(why),
    }
}
