//! Performing the engine's outputs: datagrams, clock commands, lookups, files, log lines.

use super::departures::Left;
use super::files;
use super::log::Log;
use super::resolver::Resolver;
use super::sockets::Sockets;
use super::traffic::Traffic;
use crate::core::Engine;
use crate::core::contract::{ClockCommand, ClockFailure, ClockReport, ExitReason, Input, Now, Output, Tx};
use crate::core::event::Level;
use crate::sys::clock;
use std::path::PathBuf;

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
    /// Datagrams in both directions.
    pub traffic: Traffic,
}

/// Both clocks now.
#[must_use]
pub fn now() -> Now {
    Now { mono: clock::mono(), wall: clock::wall() }
}

impl Shell {
    /// Performs all that the engine wants done; the reason, if it wants to end.
    pub fn drain(&mut self, engine: &mut Engine) -> Option<ExitReason> {
        let mut exit = None;
        while let Some(output) = engine.next_output() {
            match output {
                Output::Send(tx) => self.send(engine, &tx),
                Output::Clock(command) => {
                    let result = command_clock(&command);
                    engine.handle(now(), Input::ClockDone(ClockReport { command, result }));
                }
                Output::Resolve { id, name, family } => self.resolver.request(id, name, family),
                Output::SaveDrift(frequency) => self.save_drift(frequency),
                // No statistics are written yet: the configuration says so when it is read.
                Output::Stat(_) => {}
                Output::Event(event) => self.log.write(event.level(), &event.text()),
                Output::Exit(reason) => exit = Some(reason),
            }
        }
        exit
    }

    fn send(&mut self, engine: &mut Engine, tx: &Tx) {
        let Some(open) = self.sockets.to_send(tx.socket, tx.to) else {
            self.traffic.unsent += 1;
            return;
        };
        let source = tx.from.filter(|_| open.ip.is_unspecified());
        let at = clock::wall();
        if open.socket.send(&tx.data, tx.to, source, tx.token.is_some()).is_err() {
            // Unreachable for now, perhaps: the poll process notices by itself.
            self.traffic.unsent += 1;
            return;
        }
        if let Some(token) = tx.token {
            if open.socket.can_stamp() {
                self.traffic.departures.expect(clock::mono(), Left::Request(token), &tx.data);
            }
            engine.handle(now(), Input::Sent { token, at });
        }
    }

    fn save_drift(&mut self, frequency: crate::units::Ppm) {
        let Some(path) = &self.driftfile else { return };
        if let Err(why) = files::save_drift(path, frequency) {
            self.log.write(Level::Error, &why);
        }
    }
}

fn command_clock(command: &ClockCommand) -> Result<(), ClockFailure> {
    let result = match command {
        ClockCommand::Frequency(frequency) => clock::set_frequency(*frequency),
        ClockCommand::Slew { micros } => clock::slew(*micros),
        ClockCommand::Step(by) => clock::step(*by),
        ClockCommand::Status(status) => clock::set_quality(&clock::Quality {
            leap: status.leap,
            max_error: status.max_error,
            est_error: status.est_error,
            time_constant: status.time_constant,
            tai: status.tai,
        }),
    };
    result.map_err(|error| match error.raw_os_error() {
        Some(nix::libc::EPERM) => ClockFailure::NotPermitted,
        other => ClockFailure::Os(other.unwrap_or(0)),
    })
}
