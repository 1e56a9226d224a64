//! An engine, and what its shell would do, with the bounds of all that comes out.

use super::packets::HOST;
use super::setups;
use rsntpd::config::parse_at_run_time;
use rsntpd::engine::Engine;
use rsntpd::engine::clock::Drift;
use rsntpd::engine::contract::{
    ClockCommand, ClockFailure, ClockReport, Input, Interface, KeyRequest, LookupId, Machine, Now, Output,
    SendToken, Setup, Tx,
};
use rsntpd::engine::control::shell_request::{Brought, ShellRequest, ShellRequestId};
use rsntpd::units::{AssocId, MonoTime, NtpTimestamp, Ppm, Seconds, Stamp};
use rsntpd::wire::header::TRANSMIT_OFFSET;
use sim::chance::Dice;
use sim::nts::NtsServer;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Unix time at the beginning: 2026-06-01.
const START: i64 = 1_780_272_000;
/// Packets of ours that are remembered.
const SENT_MAX: usize = 64;
/// What one input may bring out, at most: associations that all end, their events, a list of clients in fragments.
const OUTPUTS_MAX: usize = 600;
/// The most seconds that one run may last by the monotonic clock: 300 years.
const LIFE: f64 = 9.5e9;

/// What the kernel makes of commands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kernel {
    Obeys,
    Refuses(ClockFailure),
    /// Nothing comes back.
    Silent,
}

pub struct World {
    pub engine: Engine,
    pub now: Now,
    pub kernel: Kernel,
    pub lookups: Vec<LookupId>,
    pub shell: Vec<(ShellRequestId, ShellRequest)>,
    pub devices: Vec<AssocId>,
    pub exchanges: Vec<(AssocId, Box<KeyRequest>)>,
    pub tokens: Vec<SendToken>,
    pub nts: NtsServer,
    pub exited: bool,
    /// The longest slew, µs: with `-q` one command slews all that is less than a step.
    slew_max: i32,
    sent: Vec<Tx>,
    origins: BTreeSet<u64>,
    /// Seconds since the start.
    time: f64,
}

impl World {
    /// An engine with one of the configurations, which has just started.
    pub fn new(setup: Setup, can_steer: bool, drift: Option<f64>) -> Self {
        let now = Now { mono: MonoTime::ZERO, wall: NtpTimestamp::from_unix(START, 0) };
        let machine = Machine {
            can_steer,
            precision: -20,
            drift: drift.map(|ppm| Drift::new(Ppm::new(ppm))),
            system: "Linux".to_owned(),
            processor: "x86_64".to_owned(),
            seed: [7; 32],
        };
        let mut nts = NtsServer::new("198.51.100.1", Dice::new(1, 1));
        nts.addresses.push(IpAddr::from([198, 51, 100, 2]));
        let slew_max = if setup.quit_after_set { 500_000 } else { 500 };
        let mut world = Self {
            engine: Engine::new(now, &machine, setup),
            now,
            kernel: Kernel::Obeys,
            lookups: Vec::new(),
            shell: Vec::new(),
            devices: Vec::new(),
            exchanges: Vec::new(),
            tokens: Vec::new(),
            nts,
            exited: false,
            slew_max,
            sent: Vec::new(),
            origins: BTreeSet::new(),
            time: 0.0,
        };
        world.drain();
        let own = |name: &str, address| Interface { name: name.to_owned(), address };
        world.input(Input::Interfaces(vec![own("lo", IpAddr::from([127, 0, 0, 1])), own("eth0", HOST)]));
        world
    }

    /// Takes an input in; gives what was sent because of it.
    pub fn input(&mut self, input: Input<'_>) -> Vec<Tx> {
        self.engine.handle(self.now, input);
        self.drain()
    }

    /// Performs all outputs, and asserts their bounds; gives what was sent.
    pub fn drain(&mut self) -> Vec<Tx> {
        let (mut left, mut count) = (Vec::new(), 0);
        while let Some(output) = self.engine.next_output() {
            count += 1;
            assert!(count <= OUTPUTS_MAX, "one input brings {count} outputs");
            match output {
                Output::Send(tx) => left.push(self.send(tx)),
                Output::Clock(command) => self.command(command),
                Output::Resolve { id, .. } => self.lookups.push(id),
                Output::SaveDrift(ppm) => assert!(ppm.get().abs() <= 500.0, "{ppm:?} into the drift file"),
                Output::Stat(line) => {
                    assert!(line.text.len() < 1_000 && !line.text.chars().any(char::is_control), "{line:?}");
                }
                Output::ShellRequest { id, shell_request } => self.shell.push((id, shell_request)),
                Output::OpenClock { id, .. } => self.devices.push(id),
                Output::CloseClock(id) => self.devices.retain(|open| *open != id),
                Output::Establish { id, request } => self.exchanges.push((id, request)),
                Output::Exit(_) => self.exited = true,
                Output::SaveDriftRecord(_) | Output::KeepCookies(_) | Output::Event(_) => {}
            }
        }
        self.keep_few();
        let due = self.engine.next_deadline();
        assert!(due.is_none_or(|due| due > self.now.mono), "a deadline in the past: {due:?}");
        let sources = self.engine.associations().count();
        assert!(sources <= setups::associations(), "{sources} associations");
        left
    }

    /// As the shell, which answers or gives up what it was asked; some of it here is never answered.
    fn keep_few(&mut self) {
        fn last<T>(of: &mut Vec<T>, most: usize) {
            of.drain(..of.len().saturating_sub(most));
        }
        last(&mut self.lookups, 16);
        last(&mut self.shell, 16);
        last(&mut self.devices, 8);
        last(&mut self.exchanges, 16);
        last(&mut self.tokens, SENT_MAX);
        last(&mut self.sent, SENT_MAX);
    }

    fn send(&mut self, mut tx: Tx) -> Tx {
        assert!(
            tx.data.len() <= 2_048 && tx.data.len().is_multiple_of(4),
            "{} bytes are sent",
            tx.data.len()
        );
        self.engine.complete(&mut tx, self.now.wall);
        if let Some(bits) = transmit_of(&tx.data) {
            self.origins.insert(bits);
        }
        if let Some(token) = tx.token {
            self.tokens.push(token);
            let from = Some(HOST).filter(|own| own.is_ipv4() == tx.to.is_ipv4());
            self.engine.handle(self.now, Input::Sent { token, at: Stamp::clock(self.now.wall), from });
        }
        self.sent.push(tx.clone());
        tx
    }

    /// Commands stay within what the kernel takes.
    fn command(&mut self, command: ClockCommand) {
        match command {
            ClockCommand::Frequency(ppm) => assert!(ppm.get().abs() <= 500.0, "{command:?}"),
            ClockCommand::Slew { micros } => assert!(micros.abs() <= self.slew_max, "{command:?}"),
            ClockCommand::PllSlew { nanos, .. } => assert!(nanos.abs() <= 20_000_000, "{command:?}"),
            ClockCommand::Step(by) => assert!(by.get().is_finite(), "{command:?}"),
            ClockCommand::Status(_) => {}
        }
        let result = match self.kernel {
            Kernel::Obeys => Ok(()),
            Kernel::Refuses(why) => Err(why),
            Kernel::Silent => return,
        };
        if let (ClockCommand::Step(by), Ok(())) = (command, result) {
            self.now.wall = self.now.wall.offset(by);
        }
        self.engine.handle(self.now, Input::ClockDone(ClockReport { command, result }));
    }

    /// Both clocks go on.
    pub fn pass(&mut self, seconds: f64) {
        if self.time + seconds < LIFE {
            self.time += seconds;
            self.now.mono = self.now.mono + Seconds::new(seconds);
            self.now.wall = self.now.wall.offset(Seconds::new(seconds));
        }
    }

    /// Goes to the next deadline, unless that is too far.
    pub fn next_deadline(&mut self) {
        if let Some(due) = self.engine.next_deadline() {
            // Not a nanosecond less, whatever is rounded.
            let wait = due.since(self.now.mono).get().max(0.0);
            if self.time + wait < LIFE {
                self.time += wait;
                self.now = Now { mono: due, wall: self.now.wall.offset(Seconds::new(wait)) };
            }
        }
        self.input(Input::Timer);
    }

    /// The latest packet of ours but so many.
    pub fn sent(&self, back: usize) -> Option<&Tx> {
        self.sent.get(self.sent.len().checked_sub(back + 1)?)
    }

    /// Its transmit timestamp.
    pub fn origin(&self, back: usize) -> NtpTimestamp {
        self.sent(back)
            .and_then(|tx| transmit_of(&tx.data))
            .map_or(NtpTimestamp::ZERO, NtpTimestamp::from_bits)
    }

    /// That of the latest packet to this address.
    pub fn origin_of(&self, to: IpAddr) -> NtpTimestamp {
        let found = self.sent.iter().rev().find(|tx| tx.to.ip() == to);
        found.and_then(|tx| transmit_of(&tx.data)).map_or(NtpTimestamp::ZERO, NtpTimestamp::from_bits)
    }

    /// Whether a packet of ours left with this transmit timestamp.
    pub fn is_ours(&self, origin: NtpTimestamp) -> bool {
        self.origins.contains(&origin.to_bits())
    }

    /// Does what a control request asks of the shell.
    pub fn perform(&self, shell_request: ShellRequest) -> Brought {
        match shell_request {
            ShellRequest::Survey => Brought::Survey(Box::default()),
            ShellRequest::Save { .. } => {
                Brought::Saved { reply: "saved".to_owned(), file: Some("saved".to_owned()) }
            }
            ShellRequest::Configure { text, .. } => {
                let parsed = parse_at_run_time(self.engine.config().clone(), &text, &[]);
                let setup = Setup { config: parsed.config, keys: setups::keys(), ..Setup::default() };
                Brought::Configured { reply: "done".to_owned(), setup: Some(Box::new(setup)) }
            }
        }
    }
}

fn transmit_of(data: &[u8]) -> Option<u64> {
    let bytes = data.get(TRANSMIT_OFFSET..)?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*bytes)).filter(|_| data[0] & 7 != 6)
}
