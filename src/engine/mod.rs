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
//! | which sources are believed, and what they agree on | `selection/` |
//! | what is done to the clock | `clock/` |
//! | what clients get | `server/`, `auth/` |
//! | ntpq | `control/` |
//! | events, statistics files, which events are logged | `report/` |
//! | SIGHUP | `reload.rs` |

pub mod auth;
pub mod clock;
pub mod contract;
pub mod control;
pub mod estimator;
pub mod reject;
mod reload;
pub mod report;
pub mod selection;
pub mod server;
pub mod sources;
pub mod system;

pub use server::Reply;

use crate::config::model::{Config, Server, Target};
use crate::engine::auth::Keys;
use crate::engine::clock::leap::LeapWatch;
use crate::engine::clock::{Discipline, Drift};
use crate::engine::contract::{
    ClockCommand, ClockFailure, ClockReport, ExitReason, Input, Interface, Machine, Now, Output, Setup,
};
use crate::engine::control::Desk;
use crate::engine::reject::Counters;
use crate::engine::report::event::Event;
use crate::engine::report::rows::Code;
use crate::engine::report::statistics::Records;
use crate::engine::server::access::AccessList;
use crate::engine::server::clients::ClientTable;
use crate::engine::sources::association::Association;
use crate::engine::sources::names::Names;
use crate::engine::system::System;
use crate::units::{AssocId, Leap, MonoTime, PIVOT, Ppm, Seconds};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::net::IpAddr;

/// How often a changed frequency is saved, seconds.
const DRIFT_INTERVAL: Seconds = Seconds::new(3600.0);
/// A frequency that changed by less than this is not worth a write, ppm.
const DRIFT_CHANGE: f64 = 0.01;

/// What became of a datagram: of [`Engine::answer`], or, with the answer's length, [`Engine::serve`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served<R = usize> {
    /// Answer with what is in the buffer, from the socket it came to.
    Reply(R),
    /// Dropped, and counted.
    Dropped,
    /// Not a client's request: give it to [`Engine::handle`].
    NotARequest,
}

/// The daemon without its shell.
#[derive(Debug)]
pub struct Engine {
    outputs: VecDeque<Output>,
    setup: Setup,
    machine: Machine,
    rng: ChaCha12Rng,
    associations: Vec<Association>,
    next_id: u16,
    names: Names,
    /// Lines whose address another association has.
    duplicates: Vec<Server>,
    access: AccessList,
    clients: ClientTable,
    keys: Keys,
    interfaces: Vec<Interface>,
    system: System,
    discipline: Discipline,
    leap: LeapWatch,
    /// When it was last told that the leap second file is old.
    leap_told: Option<MonoTime>,
    counters: Counters,
    desk: Desk,
    records: Records,
    /// The moment of the input that is being taken in.
    moment: Now,
    started: MonoTime,
    /// Steps of the clock so far: exchanges across a step measure nothing.
    epoch: u32,
    /// By how many eras the wall clock is behind.
    eras_off: i64,
    next_token: u64,
    /// The leap second that is armed in the kernel.
    kernel_leap: Leap,
    /// When it was last logged that the clock is beyond the kernel's range of frequency.
    too_fast_logged: Option<MonoTime>,
    next_slew: Option<MonoTime>,
    turns: crate::engine::clock::Turns,
    next_drift: MonoTime,
    saved_drift: Option<Ppm>,
    /// What we started with, until we know how right it was.
    unjudged: Option<Drift>,
    exiting: bool,
}

impl Engine {
    /// Longest answer [`Engine::serve`] writes, octets.
    pub const REPLY_MAX: usize = 128;

    /// A daemon that starts now. Its first outputs are waiting.
    #[must_use]
    pub fn new(now: Now, machine: &Machine, setup: Setup) -> Self {
        let mut rng = ChaCha12Rng::from_seed(machine.seed);
        // A stream of its own: what is drawn for the client table moves nothing else.
        let mut hash_key = [0; 16];
        let mut other = rng.clone();
        other.set_stream(1);
        other.fill_bytes(&mut hash_key);
        let steers = machine.can_steer && setup.config.enable.ntp;
        let mut engine = Self {
            outputs: VecDeque::new(),
            access: AccessList::build(&setup.config.restrict),
            clients: ClientTable::new(&setup.config, hash_key),
            keys: Keys::new(&setup.keys, &setup.config.auth.trusted),
            discipline: Discipline::new(now, machine.drift, steers, setup.allow_panic_once),
            // Identifiers start anywhere, as ntpd's do: they are not to be guessed from outside.
            next_id: (rng.next_u32() % 60_000) as u16 + 1,
            system: System::new(machine.precision, now.mono),
            machine: machine.clone(),
            setup,
            rng,
            associations: Vec::new(),
            names: Names::default(),
            duplicates: Vec::new(),
            interfaces: Vec::new(),
            leap: LeapWatch::default(),
            leap_told: None,
            counters: Counters::default(),
            desk: Desk::new(now.mono, &mut other),
            records: Records::new(now.mono),
            moment: now,
            started: now.mono,
            epoch: 0,
            eras_off: 0,
            next_token: 0,
            kernel_leap: Leap::None,
            too_fast_logged: None,
            next_slew: None,
            turns: crate::engine::clock::Turns::default(),
            next_drift: now.mono + DRIFT_INTERVAL,
            saved_drift: machine.drift.map(|drift| drift.frequency),
            unjudged: machine.drift,
            exiting: false,
        };
        engine.start(now);
        engine
    }

    fn start(&mut self, now: Now) {
        self.event(Event::Restart);
        if !self.machine.can_steer && self.setup.config.enable.ntp {
            self.event(Event::CannotSteer);
        }
        if self.discipline.steers() {
            match self.machine.drift {
                Some(drift) => self.event(Event::FrequencyInitialized(drift.frequency)),
                None => self.event(Event::FrequencyNotSet),
            }
            self.outputs.push_back(Output::Clock(ClockCommand::Frequency(self.discipline.frequency())));
        }
        self.leap_file_read(now);
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
        self.moment = now;
        match input {
            Input::Datagram(rx) => self.datagram(now, &rx),
            Input::Sent { token, at } => {
                let sender =
                    self.associations.iter_mut().find(|a| a.pending.is_some_and(|p| p.token == token.0));
                if let Some(association) = sender
                    && let Some(pending) = &mut association.pending
                {
                    association.tally.output_delay = (at - pending.sent).to_seconds();
                    pending.sent = at;
                }
            }
            Input::Timer => {}
            Input::Resolved { id, result } => self.name_answered(now, id, result),
            Input::ClockDone(report) => self.clock_done(now, report),
            Input::WrongEra(eras) => self.eras_off = eras,
            Input::ClockSet(by) => self.clock_set(now, by),
            Input::Interfaces(interfaces) => self.set_interfaces(interfaces),
            Input::Reload(setup) => self.reload(now, *setup),
            Input::LeapSeconds(table) => {
                self.setup.leap_table = Some(table);
                self.leap_file_read(now);
            }
            Input::Returned { id, result } => self.errand_done(now, id, result),
            Input::Shutdown => self.shutdown(),
        }
        self.housekeep(now);
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.setup.config
    }

    /// The associations: identifier, address once known, and what its line says.
    pub fn sources(&self) -> impl Iterator<Item = (AssocId, Option<IpAddr>, &Target)> {
        self.associations.iter().map(|a| (a.id, a.address.map(|host| host.ip), &a.config.target))
    }

    /// The next thing to do; `None` when all is done. Drain it after every [`Engine::handle`].
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timer`] is due; `None` if nothing is waiting.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        if self.exiting {
            return None;
        }
        let polls = self.associations.iter().filter(|a| a.is_polled()).map(|a| a.next_poll);
        let others = [
            self.next_slew,
            self.turns.next(),
            self.names.next_deadline(),
            Some(self.next_drift),
            self.quit_deadline(),
            Some(self.records.due()),
        ];
        polls.chain(others.into_iter().flatten()).min()
    }

    /// All that is due by now.
    fn housekeep(&mut self, now: Now) {
        if self.exiting {
            return;
        }
        for request in self.names.due(now.mono) {
            self.outputs.push_back(request);
        }
        self.poll_all(now);
        self.steer(now);
        if now.mono >= self.next_drift {
            self.next_drift = now.mono + DRIFT_INTERVAL;
            self.save_drift(self.setup.config.drift_threshold.map_or(DRIFT_CHANGE, Ppm::get));
        }
        self.record_hourly(now);
        self.quit_if_hopeless(now);
    }

    /// The next slew, if it is time.
    fn steer(&mut self, now: Now) {
        self.turns.pass(now);
        self.watch_settling(now);
        if self.next_slew.is_none_or(|due| now.mono < due) {
            return;
        }
        let tinker = self.setup.config.tinker;
        // Linux forgets that it is about to insert a leap second when its loop is switched off.
        let kernel = self.setup.config.enable.kernel && self.leap.for_kernel(now.wall, PIVOT) == Leap::None;
        self.next_slew = self.discipline.push(now, kernel, &tinker).map(|push| {
            if let Some((micros, left)) = push.glide {
                self.outputs.push_back(Output::Clock(ClockCommand::Glide { micros, left }));
            }
            if let Some(micros) = push.slew {
                self.outputs.push_back(Output::Clock(ClockCommand::Slew { micros }));
            }
            self.turns.begin(now);
            crate::engine::clock::Steering::next_tick(now)
        });
    }

    /// A clock update left something to correct: begin.
    fn begin_slewing(&mut self, now: Now) {
        self.next_slew.get_or_insert(crate::engine::clock::Steering::first_tick(now));
    }

    fn save_drift(&mut self, at_least: f64) {
        let Some(frequency) = self.discipline.frequency_to_save() else { return };
        let changed = self.saved_drift.is_none_or(|saved| (saved.get() - frequency.get()).abs() >= at_least);
        if changed {
            self.saved_drift = Some(frequency);
            self.outputs.push_back(Output::SaveDrift(frequency));
        }
        if let Some((drift, error)) = self.unjudged.and_then(|d| Some((d, self.discipline.error_of(&d)?))) {
            self.unjudged = None;
            self.outputs.push_back(Output::SaveDriftRecord(drift.record.and(error)));
        }
    }

    fn shutdown(&mut self) {
        self.save_drift(0.0);
        self.exit(ExitReason::Shutdown);
    }

    /// Ends the process after what is already waiting.
    fn exit(&mut self, reason: ExitReason) {
        self.exiting = true;
        self.event(Event::Exiting(reason));
        self.outputs.push_back(Output::Exit(reason));
    }

    /// Counts and reports an event.
    fn event(&mut self, event: Event) {
        let row = event.row();
        if let Code::System(code) = row.code {
            self.system.note_event(code);
        }
        self.record_event(self.moment, &row);
        self.outputs.push_back(Output::Event(event));
    }

    fn clock_done(&mut self, now: Now, report: ClockReport) {
        let Err(failure) = report.result else { return };
        if let ClockCommand::Step(by) = report.command {
            self.discipline.step_failed(by);
            for association in self.associations.iter_mut().filter(|a| !a.is_local_clock()) {
                association.filter.clock_stepped(by * -1.0);
                association.estimator.clock_stepped(by * -1.0);
            }
        }
        if failure == ClockFailure::NoLoop {
            self.discipline.glide_failed();
            return;
        }
        if failure == ClockFailure::NotPermitted && self.discipline.steers() {
            self.event(Event::CannotSteer);
            self.discipline.stop_steering(now);
            self.next_slew = None;
            for association in &mut self.associations {
                association.estimator = self.discipline.new_estimator();
            }
        } else if failure != ClockFailure::NotPermitted {
            let what = match report.command {
                ClockCommand::Frequency(_) => "setting the clock's frequency",
                ClockCommand::Slew { .. } | ClockCommand::Glide { .. } => "slewing the clock",
                ClockCommand::Step(_) => "stepping the clock",
                ClockCommand::Status(_) => "setting the clock's status",
            };
            self.event(Event::ClockFailed { what, why: failure });
        }
    }

    fn set_interfaces(&mut self, interfaces: Vec<Interface>) {
        let own: Vec<_> = interfaces.iter().map(|i| i.address).collect();
        self.access.set_own_addresses(&own);
        self.interfaces = interfaces;
    }
}
