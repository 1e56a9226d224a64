//! The whole daemon as a value: no sockets, files, clocks, threads or statics.
//!
//! The shell (or the simulator) calls [`Engine::handle`] with what happened, performs what
//! [`Engine::next_output`] gives, and calls again at [`Engine::next_deadline`].
//!
//! | question | folder or file |
//! |---|---|
//! | what goes in and out | `contract.rs` |
//! | the three calls | here |
//! | making, naming and polling associations; a response from a server | `sources/` |
//! | what a source's samples say of the clock | `estimator/` |
//! | which sources are selected, and what they agree on | `selection/` |
//! | what is done to the clock | `clock/` |
//! | what clients get | `server/`, `auth/` |
//! | ntpq | `control/`, which reads views of the others |
//! | events, statistics files, which events are logged | `report/` |
//! | what needs more than one of them | `routes/` |
//! | all deadlines | `timers.rs` |

pub mod auth;
pub mod clock;
pub mod contract;
pub mod control;
pub mod estimator;
mod outbox;
pub mod reject;
pub mod report;
mod routes;
pub mod selection;
pub mod server;
pub mod sources;
pub mod system;
pub mod timers;

pub use server::{Reply, Served};

use crate::config::model::{Config, Target};
use crate::engine::clock::{Authority, Clock, FirstOffset};
use crate::engine::contract::{ExitReason, Input, Machine, Now, Output, Rx, Setup, Tx};
use crate::engine::control::Control;
use crate::engine::outbox::Outbox;
use crate::engine::report::Reports;
use crate::engine::report::event::Event;
use crate::engine::server::smear::SMEAR_WORDS;
use crate::engine::server::{ReplyBuffer, Server, Serving};
use crate::engine::sources::names::Names;
use crate::engine::sources::{Departed, Source, Sources};
use crate::engine::system::System;
use crate::engine::system::published::SYSTEM_WORDS;
use crate::engine::timers::Timers;
use crate::units::{AssocId, MonoTime, NtpTimestamp};
use crate::wire::counter::Counter;
use crate::wire::header::{HEADER_LEN, TRANSMIT_OFFSET};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::net::IpAddr;

/// An association, as the shell may name it.
#[derive(Clone, Copy, Debug)]
pub struct Association<'a> {
    /// Its identifier.
    pub id: AssocId,
    /// Its address, once known.
    pub address: Option<IpAddr>,
    /// What its line says.
    pub target: &'a Target,
}

/// Integers of what engines in other processes answer with.
pub const PUBLISHED: usize = SYSTEM_WORDS + SMEAR_WORDS;

/// The daemon without its shell.
#[derive(Debug)]
pub struct Engine {
    outbox: Outbox,
    timers: Timers,
    setup: Setup,
    rng: ChaCha12Rng,
    sources: Sources,
    names: Names,
    system: System,
    clock: Clock,
    server: Server,
    control: Control,
    reports: Reports,
    /// The moment of the input that is being taken in.
    moment: Now,
    started: MonoTime,
    exiting: bool,
}

impl Engine {
    /// Longest response of [`Engine::serve`], bytes.
    pub const REPLY_MAX: usize = server::REPLY_MAX;

    /// A daemon that starts now. Its first outputs are waiting.
    #[must_use]
    pub fn new(now: Now, machine: &Machine, setup: Setup) -> Self {
        let mut rng = ChaCha12Rng::from_seed(machine.seed);
        // A stream of its own: what is drawn for the client table moves nothing else.
        let mut hash_key = [0; 16];
        let mut other = rng.clone();
        other.set_stream(1);
        other.fill_bytes(&mut hash_key);
        let adjusts = machine.can_steer && setup.config.enable.ntp;
        let authority = if adjusts { Authority::Adjusts } else { Authority::Measures };
        let first = if setup.allow_panic_once { FirstOffset::Any } else { FirstOffset::WithinPanic };
        let mut timers = Timers::default();
        let mut engine = Self {
            outbox: Outbox::default(),
            server: Server::new(&setup, hash_key),
            clock: Clock::new(now, machine.drift, authority, first),
            sources: Sources::new((rng.next_u32() % 60_000) as u16 + 1),
            system: System::new(machine.precision, now.mono),
            reports: Reports::new(now.mono, &setup.config, &mut timers),
            setup,
            rng,
            names: Names::default(),
            control: Control::new(now.mono, machine, &mut other),
            timers,
            moment: now,
            started: now.mono,
            exiting: false,
        };
        engine.start(now, machine);
        engine
    }

    fn start(&mut self, now: Now, machine: &Machine) {
        self.event(Event::Restart);
        if !machine.can_steer && self.setup.config.enable.ntp {
            self.event(Event::CannotSteer);
        }
        if self.clock.discipline().steers() {
            match machine.drift {
                Some(drift) => self.event(Event::FrequencyInitialized(drift.frequency)),
                None => self.event(Event::FrequencyNotSet),
            }
        }
        self.clock.start(now, &mut self.timers, &mut self.outbox);
        self.leap_file_read(now);
        self.await_sources(now);
        for server in self.setup.config.servers.clone() {
            self.mobilize(now, server);
        }
        self.add_restrict_names(now);
        self.housekeep(now);
    }

    /// Takes in what happened. Never blocks; network data is never an error.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        if self.exiting {
            return;
        }
        debug_assert!(now.mono >= self.moment.mono, "monotonic time never goes back");
        self.moment = now;
        match input {
            Input::Datagram(rx) => self.datagram(now, &rx),
            Input::Sent { token, at, from } => {
                // One source at most sent it.
                let departed = Departed { token: token.0, at, from };
                self.sources.iter_mut().find_map(|source| source.sent(departed).then_some(()));
            }
            Input::Timer => {}
            Input::Resolved { id, result } => self.lookup_ended(now, id, result),
            Input::ClockDone(report) => self.clock_done(now, report),
            Input::WrongEra(eras) => self.clock.wrong_era(eras),
            Input::ClockSet { by, running } => self.clock_set(now, by, running),
            Input::Suspended(span) => self.suspended(now, span),
            Input::Interfaces(interfaces) => {
                self.server.set_interfaces(interfaces);
                self.want_keys_anew(now);
            }
            Input::Reload(setup) => self.reload(now, *setup),
            Input::LeapSeconds(table) => {
                self.setup.leap_table = Some(table);
                self.leap_file_read(now);
            }
            Input::Returned { id, result } => self.shell_request_done(now, id, result),
            Input::Clock { id, report } => self.device_reported(now, id, report),
            Input::Established { id, result } => self.keys_established(now, id, result),
            Input::CookieKeys(keys) => self.server.take_cookie_keys(&keys),
            Input::KeyExchange(until) => self.server.take_certificate_end(until),
            Input::Shutdown => self.shutdown(),
        }
        self.housekeep(now);
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.setup.config
    }

    /// The associations.
    pub fn associations(&self) -> impl Iterator<Item = Association<'_>> {
        self.sources.iter().map(|s| Association {
            id: s.id(),
            address: s.address().map(|host| host.ip),
            target: &s.config().target,
        })
    }

    /// An association, to look at.
    #[must_use]
    pub fn source(&self, id: AssocId) -> Option<&Source> {
        self.sources.get(id)
    }

    /// The next thing to do; `None` when all is done. Drain it after every [`Engine::handle`].
    pub fn next_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    /// Completes a packet whose transmit timestamp is the time ([`Tx::complete`]), right before it leaves at `at`: writes that, and
    /// the MAC.
    pub fn complete(&mut self, tx: &mut Tx, at: NtpTimestamp) {
        let source = tx.complete.take().and_then(|id| self.sources.get_mut(id));
        let (Some(source), Some(transmit)) = (source, tx.data.get_mut(TRANSMIT_OFFSET..HEADER_LEN)) else {
            return;
        };
        transmit.copy_from_slice(&source.departs(at).to_bits().to_be_bytes());
        if let Some(key) = source.config().key {
            self.server.keys_mut().sign(key, &mut tx.data);
        }
    }

    /// When [`Input::Timer`] is due; `None` if nothing is waiting.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        if self.exiting { None } else { self.timers.next() }
    }

    /// All that is due by now.
    fn housekeep(&mut self, now: Now) {
        if self.exiting {
            return;
        }
        self.poll_all(now);
        self.open_devices_due(now);
        self.exchange_keys_due(now);
        // A poll may show that a name has to be looked up again.
        for request in self.names.due(now.mono, &mut self.timers) {
            self.outbox.push(request);
        }
        self.stand_alone_if_due(now);
        self.slew(now);
        self.server.watch_smear(now, &self.setup);
        let threshold = self.setup.config.drift_threshold;
        self.clock.save_drift_if_due(now, threshold, &mut self.timers, &mut self.outbox);
        self.record_hourly(now);
        self.quit_if_hopeless(now);
        debug_assert!(
            self.next_deadline().is_none_or(|at| at > now.mono),
            "all that is due has been done: {:?}",
            self.timers.due(now.mono)
        );
    }

    fn shutdown(&mut self) {
        self.clock.save_drift(0.0, &mut self.outbox);
        self.keep_cookies();
        self.log_calibration();
        self.exit(ExitReason::Shutdown);
    }
}

/// Client requests: the hot path, past the output queue.
impl Engine {
    /// Answers a time request (modes 3, 1 and version 1's 0): the first 48 bytes, without the transmit timestamp.
    /// [`Engine::seal`] completes them.
    pub fn answer(&mut self, now: Now, rx: &Rx<'_>, reply: &mut ReplyBuffer) -> Served<Reply> {
        if self.is_for_association(rx) {
            return Served::NotARequest;
        }
        let ours = Serving { now, system: &self.system };
        self.server.answer(ours, &mut self.rng, rx, reply)
    }

    /// Completes an answer that leaves at `leaves`; gives its length in bytes.
    pub fn seal(&mut self, answer: &Reply, leaves: NtpTimestamp, reply: &mut ReplyBuffer) -> usize {
        self.server.seal(answer, leaves, reply)
    }

    /// The kernel reports when a sealed answer left.
    pub fn left(&mut self, answer: &Reply, at: NtpTimestamp) {
        self.server.left(answer, at);
    }

    /// [`Engine::answer`] and [`Engine::seal`] in one; `clock` reads the wall clock in between.
    pub fn serve(
        &mut self,
        now: Now,
        rx: &Rx<'_>,
        clock: &mut dyn FnMut() -> NtpTimestamp,
        reply: &mut ReplyBuffer,
    ) -> Served {
        match self.answer(now, rx, reply) {
            Served::Reply(answer) => {
                let length = self.seal(&answer, clock(), reply);
                debug_assert!(
                    length <= rx.data.len(),
                    "no response is longer than its request: {length} bytes"
                );
                Served::Reply(length)
            }
            Served::Dropped => Served::Dropped,
            Served::NotARequest => Served::NotARequest,
        }
    }
}

/// Several processes that answer as one (`system/published.rs`).
impl Engine {
    /// What our answers are made of, for engines in other processes.
    #[must_use]
    pub fn published(&self) -> [u64; PUBLISHED] {
        let mut words = [0; PUBLISHED];
        words[..SYSTEM_WORDS].copy_from_slice(&self.system.to_words());
        words[SYSTEM_WORDS..].copy_from_slice(&self.server.smear_words());
        words
    }

    /// Answers from now on with what another engine has [published](Engine::published). Zeros, which
    /// say that it has not yet, change nothing.
    pub fn adopt(&mut self, words: &[u64; PUBLISHED]) {
        if let (Some(system), Some(smear)) = (words.first_chunk(), words.last_chunk()) {
            self.system.take_words(system);
            self.server.take_smear_words(smear);
        }
    }

    /// What was counted here since the start, for [`Engine::count_elsewhere`].
    #[must_use]
    pub fn counted(&self) -> [u64; Counter::COUNT] {
        self.server.counters().words()
    }

    /// Adds what was counted in another process since the last time.
    pub fn count_elsewhere(&mut self, more: &[u64; Counter::COUNT]) {
        self.server.counters_mut().add(more);
    }
}
