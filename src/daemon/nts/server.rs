//! The key exchange of our server, in a process of its own: it has the private key, and neither the clock nor any privilege. A
//! handshake takes up to milliseconds, which answers would wait for; a fault in TLS must not touch the clock.

pub mod identity;
mod limiter;
pub mod session;

use crate::config::model::{AccessFlags, Nts, Restrict};
use crate::daemon::log::Log;
use crate::engine::auth::cookie::Cookies;
use crate::engine::report::event::Level;
use crate::engine::server::access::AccessList;
use crate::sys::page::{Page, ReadPage};
use crate::sys::signals::Signals;
use crate::sys::{clock, random, tcp};
use crate::units::{MonoTime, Seconds};
use crate::wire::counter::Counter;
use crate::wire::nts::KE_PORT;
use crate::wire::nts::master::{MASTER_WORDS, MasterKeys};
use identity::Identity;
use limiter::Limiter;
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use session::{Answers, Outcome, Session};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a client has.
const PATIENCE: Seconds = Seconds::new(2.0);
/// Pause where the system has no more room for connections.
const PAUSE: Seconds = Seconds::new(1.0);
/// How often the files of the certificate are looked at.
const LOOK: Seconds = Seconds::new(3_600.0);
/// Connections taken in one go: those that are open get their turn between.
const TAKEN: usize = 16;

const SIGNAL: Token = Token(0);
/// The first token of a connection; those before are the listeners'.
const FIRST: usize = 8;

/// What was counted.
pub type Counts = [u64; Counter::COUNT];
/// Words of the page by which the main process gets a [`Report`].
pub const REPORT_WORDS: usize = Counter::COUNT + 1;

/// What the main process gets of this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// What was counted since the start.
    pub counts: Counts,
    /// Until when the certificate is valid, seconds since 1970.
    pub certificate_end: i64,
}

impl Report {
    /// As the page has it.
    #[must_use]
    pub fn to_words(self) -> [u64; REPORT_WORDS] {
        let mut words = [self.certificate_end.cast_unsigned(); REPORT_WORDS];
        words[..Counter::COUNT].copy_from_slice(&self.counts);
        words
    }

    /// The same from the page.
    #[must_use]
    pub fn of_words(words: &[u64; REPORT_WORDS]) -> Self {
        let certificate_end = words[Counter::COUNT].cast_signed();
        Self { counts: std::array::from_fn(|i| words[i]), certificate_end }
    }
}

/// What is made as root, and goes to the process.
#[derive(Debug)]
pub struct Exchange {
    listeners: Vec<TcpListener>,
    identity: Identity,
    connections: usize,
    nts: Nts,
}

/// A connection with its deadline.
#[derive(Debug)]
struct Connection {
    session: Session<TcpStream>,
    began: MonoTime,
    /// Processor time that it took, microseconds.
    busy: u64,
}

impl Exchange {
    /// Opens what the configuration names; logs why there is nothing to do.
    pub fn open(nts: &Nts, addresses: &[IpAddr], log: &mut Log) -> Option<Self> {
        let (Some(chain), Some(key)) = (&nts.certificate, &nts.key) else {
            let why = "expected `nts cert FILE' and `nts key FILE' beside `nts enable'";
            log.write(Level::Error, &format!("NTS: no key exchange: {why}"));
            return None;
        };
        let identity = match Identity::read(chain.clone(), key.clone()) {
            Ok(identity) => identity,
            Err(why) => {
                log.write(Level::Error, &format!("NTS: no key exchange: {why}"));
                return None;
            }
        };
        let mut listeners = Vec::new();
        for address in addresses {
            match tcp::listen(SocketAddr::new(*address, KE_PORT)) {
                Ok(listener) => listeners.push(TcpListener::from_std(listener)),
                // A machine without IPv6.
                Err(why) if why.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32) => {}
                Err(why) => log.write(Level::Error, &format!("NTS: TCP port {KE_PORT} of {address}: {why}")),
            }
        }
        let connections = (nts.connections as usize).max(1);
        Some(Self { listeners, identity, connections, nts: nts.clone() })
            .filter(|this| !this.listeners.is_empty())
    }

    /// The files of the certificate have these names, where the root directory has become another one.
    pub fn move_to(&mut self, nts: &Nts) {
        if let (Some(chain), Some(key)) = (&nts.certificate, &nts.key) {
            self.identity.move_to(chain, key);
        }
    }

    /// Exchanges keys until a signal ends it. `reload` gives the restrict lines that are in force after a SIGHUP.
    ///
    /// # Errors
    /// Of epoll and the signal handlers.
    pub fn run(
        self,
        mut log: Log,
        keys: ReadPage<MASTER_WORDS>,
        reports: &Page<REPORT_WORDS>,
        restrict: &[Restrict],
        mut reload: impl FnMut() -> Option<Vec<Restrict>>,
    ) -> io::Result<()> {
        let mut signals = Signals::install()?;
        let mut this = Running::new(self, keys, restrict)?;
        this.poll.registry().register(&mut SourceFd(&signals.raw_fd()), SIGNAL, Interest::READABLE)?;
        let mut events = Events::with_capacity(64);
        let mut written = None;
        loop {
            let report = this.report();
            if written != Some(report) {
                written = Some(report);
                reports.write(&report.to_words());
            }
            let patience = this.patience(clock::mono());
            match this.poll.poll(&mut events, patience) {
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            this.take_keys();
            for event in &events {
                match event.token() {
                    SIGNAL => {
                        let requests = signals.take();
                        if requests.terminate.is_some() {
                            return Ok(());
                        }
                        if requests.reload {
                            log.reopen();
                            this.exchange.identity.reread(&mut log);
                            if let Some(lines) = reload() {
                                this.access = AccessList::build(&lines);
                            }
                        }
                    }
                    Token(number) if number < FIRST => this.waiting = true,
                    Token(number) => this.go_on(number),
                }
            }
            let now = clock::mono();
            this.expire(now);
            this.accept(now);
            if this.next_look <= now {
                this.next_look = now + LOOK;
                this.exchange.identity.reread(&mut log);
            }
        }
    }
}

/// The process at work.
struct Running {
    exchange: Exchange,
    poll: Poll,
    /// By the time of their beginning.
    open: BTreeMap<usize, Connection>,
    next: usize,
    answers: Answers,
    keys: ReadPage<MASTER_WORDS>,
    version: Option<u64>,
    limiter: Limiter,
    access: AccessList,
    /// Whether connections may wait to be taken.
    waiting: bool,
    /// Until when none is taken.
    paused: MonoTime,
    next_look: MonoTime,
    counts: Counts,
}

impl Running {
    fn new(exchange: Exchange, keys: ReadPage<MASTER_WORDS>, restrict: &[Restrict]) -> io::Result<Self> {
        let (poll, now) = (Poll::new()?, clock::mono());
        let answers = Answers {
            aeads: exchange.nts.aeads.clone(),
            port: exchange.nts.port,
            cookies: None,
            rng: ChaCha20Rng::from_seed(random::seed()),
            made: 0,
        };
        let mut this = Self {
            exchange,
            poll,
            open: BTreeMap::new(),
            next: FIRST,
            answers,
            keys,
            version: None,
            limiter: Limiter::default(),
            access: AccessList::build(restrict),
            waiting: true,
            paused: now,
            next_look: now + LOOK,
            counts: [0; Counter::COUNT],
        };
        for (number, listener) in (1..FIRST).zip(&mut this.exchange.listeners) {
            this.poll.registry().register(listener, Token(number), Interest::READABLE)?;
        }
        this.take_keys();
        Ok(this)
    }

    const fn report(&self) -> Report {
        Report { counts: self.counts, certificate_end: self.exchange.identity.valid_until() }
    }

    /// How long there is nothing to do.
    fn patience(&self, now: MonoTime) -> Option<Duration> {
        let oldest = self.open.values().next().map(|connection| connection.began + PATIENCE);
        let paused = self.waiting.then_some(self.paused);
        [oldest, paused, Some(self.next_look)].into_iter().flatten().min().map(|due| due.until(now))
    }

    /// Cookies are sealed by the keys that the main process has put on the page.
    fn take_keys(&mut self) {
        if self.version != Some(self.keys.version())
            && let Some(words) = self.keys.read()
        {
            self.version = Some(self.keys.version());
            self.answers.cookies = MasterKeys::from_words(&words).as_ref().map(Cookies::new);
        }
    }

    fn accept(&mut self, now: MonoTime) {
        if !self.waiting || self.paused > now {
            return;
        }
        self.waiting = false;
        for number in 0..self.exchange.listeners.len() {
            for taken in 0.. {
                if taken == TAKEN {
                    // The rest has its turn after those that are open.
                    self.waiting = true;
                    break;
                }
                match self.exchange.listeners[number].accept() {
                    Ok((stream, from)) => self.begin(stream, from, now),
                    Err(why) if why.kind() == io::ErrorKind::WouldBlock => break,
                    Err(why) if out_of_room(&why) => {
                        // The connection waits on, and would be reported at once.
                        (self.waiting, self.paused) = (true, now + PAUSE);
                        return;
                    }
                    // It is gone already.
                    Err(_) => {}
                }
            }
        }
    }

    fn begin(&mut self, mut stream: TcpStream, from: SocketAddr, now: MonoTime) {
        let flags = self.access.admit(from);
        let denied = flags.contains(AccessFlags::IGNORE) || flags.contains(AccessFlags::NOSERVE);
        if denied || !self.limiter.admits(from.ip(), now) {
            self.counts[Counter::KeNoTls as usize] += 1;
            self.counts[Counter::KeRefused as usize] += 1;
            return;
        }
        if self.open.len() >= self.exchange.connections
            && let Some((_, oldest)) = self.open.pop_first()
        {
            self.count(oldest.session.outcome(), &oldest);
        }
        let number = self.next;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut stream, Token(number), interest);
        if let (Ok(()), Ok(session)) = (registered, Session::new(stream, self.exchange.identity.config())) {
            self.next = self.next.checked_add(1).unwrap_or(FIRST);
            self.open.insert(number, Connection { session, began: now, busy: 0 });
            self.go_on(number);
        }
    }

    fn go_on(&mut self, number: usize) {
        let before = processor_time();
        let Some(connection) = self.open.get_mut(&number) else { return };
        let over = connection.session.go_on(&mut self.answers);
        connection.busy += processor_time().saturating_sub(before);
        self.counts[Counter::CookieMade as usize] = self.answers.made;
        if let Some(outcome) = over
            && let Some(connection) = self.open.remove(&number)
        {
            self.count(outcome, &connection);
        }
    }

    fn expire(&mut self, now: MonoTime) {
        while let Some(oldest) = self.open.first_entry().filter(|oldest| oldest.get().began + PATIENCE <= now)
        {
            let oldest = oldest.remove();
            self.count(oldest.session.outcome(), &oldest);
        }
    }

    fn count(&mut self, outcome: Outcome, connection: &Connection) {
        let [count, wall, cpu] = match outcome {
            Outcome::Good => [Counter::KeGood, Counter::KeGoodWall, Counter::KeGoodCpu],
            Outcome::NoTls => [Counter::KeNoTls, Counter::KeNoTlsWall, Counter::KeNoTlsCpu],
            Outcome::Bad => [Counter::KeBad, Counter::KeBadWall, Counter::KeBadCpu],
        };
        self.counts[count as usize] += 1;
        self.counts[wall as usize] += (clock::mono().since(connection.began).get() * 1e6) as u64;
        self.counts[cpu as usize] += connection.busy;
    }
}

/// Whether there is no room for a connection now: descriptors or memory.
fn out_of_room(why: &io::Error) -> bool {
    let kinds = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    kinds.iter().any(|kind| why.raw_os_error() == Some(*kind as i32))
}

/// How long this process kept a processor busy, microseconds.
fn processor_time() -> u64 {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1_000)
}
