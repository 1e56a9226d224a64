//! Performing the engine's outputs: datagrams, clock commands, lookups, files, log lines.

use super::files::{self, SaveError};
use super::leapfile::LeapFile;
use super::log::Log;
use super::net::departures::Left;
use super::net::resolver::Resolver;
use super::net::sockets::{Hears, Sockets};
use super::net::traffic::Traffic;
use super::nts::client::KeyClient;
use super::nts::serving::NtsServer;
use super::refclocks::RefClocks;
use super::reload::ReloadSocket;
use super::rivals;
use super::sandbox::Sandbox;
use super::start::supervisor::Supervisor;
use super::statistics::StatFiles;
use crate::config::model::Config;
use crate::engine::Engine;
use crate::engine::contract::{ClockCommand, ClockFailure, ClockReport, ExitReason, Input, Now, Output, Tx};
use crate::engine::control::shell_request::{ShellRequest, ShellRequestId};
use crate::engine::report::event::Level;
use crate::engine::report::logconfig::LogFilter;
use crate::sys::clock;
use crate::sys::clock_watch::{ClockWatch, Happened};
use crate::sys::socket::Departure;
use crate::units::{ERA, MonoTime, Seconds, Stamp, eras_off};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The machine around the engine.
#[derive(Debug)]
pub struct Shell {
    /// The sockets.
    pub sockets: Sockets,
    /// The log.
    pub log: Log,
    /// Lookups of names.
    pub resolver: Resolver,
    /// Where the frequency is kept, if anywhere.
    pub driftfile: Option<PathBuf>,
    /// Which events are logged.
    pub log_filter: LogFilter,
    /// The statistics files.
    pub statistics: StatFiles,
    /// When the daemon began.
    pub started: MonoTime,
    /// The leap second file.
    pub leapfile: LeapFile,
    /// Times that the loop woke, and times of them with a datagram.
    pub wakeups: (u64, u64),
    /// What control requests need, to be done by the event loop.
    pub shell_requests: Vec<(ShellRequestId, ShellRequest)>,
    /// Datagrams in both directions.
    pub traffic: Traffic,
    /// The service manager.
    pub supervisor: Supervisor,
    /// The socket of `--reload`.
    pub reload_socket: Option<ReloadSocket>,
    /// Whether another process sets the clock.
    pub clock_watch: ClockWatch,
    /// The devices of reference clocks.
    pub refclocks: RefClocks,
    /// The key exchanges of sources with NTS.
    pub key_client: KeyClient,
    /// Our server of NTS.
    pub nts_server: NtsServer,
    /// What the kernel keeps this process from.
    pub sandbox: Sandbox,
}

/// Both clocks now.
#[must_use]
pub fn now() -> Now {
    Now { mono: clock::mono(), wall: clock::wall() }
}

impl Shell {
    /// A new configuration is in force: files and the log follow it.
    pub fn take_over(&mut self, config: &Config) {
        self.sandbox.take_over(config, &mut self.log);
        self.driftfile.clone_from(&config.driftfile);
        self.sockets.set_rules(&config.interfaces, Hears::of(config));
        self.log_filter = LogFilter::new(&config.logconfig);
        self.statistics.reopen(&config.statistics);
        self.leapfile = LeapFile::new(config.leapfile.clone());
        self.key_client.take_over(config);
        if let Some(path) = &config.logfile {
            self.log.use_file(path);
        }
    }

    /// Performs all that the engine wants done; the reason, if it wants to end.
    pub fn drain(&mut self, engine: &mut Engine) -> Option<ExitReason> {
        let mut exit = None;
        while let Some(output) = engine.next_output() {
            match output {
                Output::Send(tx) => self.send(engine, tx),
                Output::Clock(command) => self.command(engine, command),
                Output::Resolve { id, name, family } => self.resolver.request(id, name, family),
                Output::SaveDrift(frequency) => self.save_drift(|path| files::save_drift(path, frequency)),
                Output::SaveDriftRecord(record) => {
                    self.save_drift(|path| files::save_drift_record(path, record));
                }
                Output::Stat(line) => {
                    let uptime = clock::mono().since(self.started).get() as u64;
                    if let Some(why) = self.statistics.write(&line, uptime) {
                        self.log.write(Level::Error, &why);
                    }
                }
                Output::Event(event) => {
                    let row = event.row();
                    if self.log_filter.admits(&row) {
                        self.log.write(row.level, &row.text);
                    }
                }
                Output::ShellRequest { id, shell_request } => self.shell_requests.push((id, shell_request)),
                Output::OpenClock { id, device } => {
                    self.refclocks.open(id, *device);
                    self.hand_over_readings(engine);
                }
                Output::CloseClock(id) => self.refclocks.close(id),
                Output::Establish { id, request } => {
                    self.key_client.establish(id, *request, &mut self.resolver);
                    self.hand_over_keys(engine);
                }
                Output::KeepCookies(kept) => {
                    self.key_client.keep(&kept);
                    self.hand_over_keys(engine);
                }
                Output::Exit(reason) => exit = Some(reason),
            }
        }
        exit
    }

    fn command(&mut self, engine: &mut Engine, command: ClockCommand) {
        if let Some(found) = self.clock_watch.overwritten() {
            self.log.write(Level::Warning, &rivals::overwritten(&found, &rivals::running()));
        }
        let result = command_clock(&command);
        if matches!(command, ClockCommand::Step(_)) {
            self.clock_watch.stepped();
        }
        if result.is_ok() {
            self.clock_watch.adjusted();
        }
        engine.handle(now(), Input::ClockDone(ClockReport { command, result }));
    }

    /// What happened to the clock, and was not our doing, goes to the engine.
    pub fn hand_over_happened(&self, engine: &mut Engine, happened: Happened) {
        if let Some(span) = happened.suspended {
            engine.handle(now(), Input::Suspended(span));
        }
        if let Some(by) = happened.set {
            engine.handle(now(), Input::ClockSet { by, running: rivals::running() });
        }
    }

    /// What the devices of reference clocks say goes to the engine.
    pub fn hand_over_readings(&mut self, engine: &mut Engine) {
        let notices = self.refclocks.take_notices();
        self.log.write_all(notices);
        while let Some((id, report)) = self.refclocks.next_report() {
            engine.handle(now(), Input::Clock { id, report });
        }
    }

    /// What key exchanges have given goes to the engine.
    pub fn hand_over_keys(&mut self, engine: &mut Engine) {
        let notices = self.key_client.take_notices();
        self.log.write_all(notices);
        while let Some((id, result)) = self.key_client.next_result() {
            engine.handle(now(), Input::Established { id, result });
        }
    }

    fn send(&mut self, engine: &mut Engine, mut tx: Tx) {
        let Some(open) = self.sockets.to_send(&tx) else { return };
        let own = open.leaves_from(&tx);
        // A link-local address is no source for the kernel without its interface.
        let source = own.filter(|own| open.ip.is_unspecified() && (tx.from.is_some() || !is_link_local(own)));
        if tx.to.ip().is_multicast() {
            // The socket is shared: what another packet had must not stick.
            let _as_before = open.socket.set_multicast_hops(tx.to.ip(), tx.hops.unwrap_or(1));
            if let Some(interface) =
                tx.from.filter(IpAddr::is_ipv6).and_then(|own| self.sockets.interface_of(own))
            {
                let _by_route = open.socket.set_multicast_interface(interface);
            }
        }
        let at = clock::wall();
        engine.complete(&mut tx, at);
        let departure = if tx.token.is_some() { Departure::Stamped } else { Departure::Unstamped };
        let sent = open.socket.send(&tx.data, tx.to, source, departure).is_ok();
        open.counts.left(usize::from(sent), usize::from(!sent));
        if !sent {
            // Unreachable for now, perhaps: the poll process notices by itself.
            return;
        }
        if let Some(token) = tx.token {
            if open.socket.can_stamp() {
                self.traffic.departures.expect(clock::mono(), Left::Request(token), &tx.data);
            }
            engine.handle(
                now(),
                Input::Sent { token, at: Stamp::clock(at), from: own.filter(|_| !tx.to.ip().is_multicast()) },
            );
        }
    }

    fn save_drift(&mut self, save: impl Fn(&Path) -> Result<(), SaveError>) {
        let Some(path) = &self.driftfile else { return };
        if let Err(why) = save(path) {
            self.log.write(Level::Error, &why.to_string());
        }
    }
}

const fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Steps the clock, to a possible time: differences of NTP timestamps do not contain the era.
fn step(by: Seconds) -> std::io::Result<()> {
    let target = clock::unix().0.saturating_add(by.get().floor() as i64);
    clock::step(Seconds::new(by.get() + (eras_off(target) * ERA) as f64))
}

fn command_clock(command: &ClockCommand) -> Result<(), ClockFailure> {
    let result = match command {
        ClockCommand::Frequency(frequency) => clock::set_frequency(*frequency),
        ClockCommand::Slew { micros } => clock::slew(*micros),
        ClockCommand::PllSlew { nanos, left } => clock::pll_slew(*nanos, *left),
        ClockCommand::Step(by) => step(*by),
        ClockCommand::Status(status) => clock::set_status(status),
    };
    result.map_err(|error| match error.raw_os_error() {
        None if error.kind() == std::io::ErrorKind::Unsupported => ClockFailure::NoLoop,
        Some(nix::libc::EPERM) => ClockFailure::NotPermitted,
        other => ClockFailure::Os(other.unwrap_or(0)),
    })
}
