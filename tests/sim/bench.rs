//! A workbench: an engine, a clock that stands where it is put, and servers that answer as told.

use rsntpd::config::model::{Config, Kind, Server, Target};
use rsntpd::engine::contract::{
    ClockCommand, ClockReport, Input, Interface, Machine, Now, Output, Rx, Setup, SocketId, Tx,
};
use rsntpd::engine::report::event::Event;
use rsntpd::engine::{Engine, Served};
use rsntpd::units::{Leap, MonoTime, NtpTimestamp, RefId, Seconds, Stamp};
use rsntpd::wire::{Header, Mode, Version};
use std::net::{IpAddr, SocketAddr};

/// Unix time at which the bench begins: 2026-06-01 00:00:00.
pub const START: i64 = 1_780_272_000;

/// The address of the engine's machine.
const HOST: &str = "10.0.0.99";

pub struct Bench {
    pub engine: Engine,
    /// Seconds since the start by both clocks, which run true.
    pub time: f64,
    /// How far the wall clock is behind the servers' time.
    pub behind: f64,
    pub sent: Vec<Tx>,
    pub events: Vec<Event>,
    pub commands: Vec<ClockCommand>,
    pub others: Vec<Output>,
    /// Whether this kernel lets us steer.
    pub permits: bool,
}

/// A server line for this address.
pub fn server(address: &str) -> Server {
    Server { iburst: true, ..Server::new(Kind::Server, Target::Address(ip(address))) }
}

/// The local clock at stratum 10.
pub fn local_clock() -> Server {
    let mut server = Server::new(Kind::Server, Target::LocalClock { unit: 0 });
    server.fudge.stratum = Some(rsntpd::units::Stratum::new(10));
    server
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn from(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn setup(servers: Vec<Server>) -> Setup {
    Setup { config: Config { servers, ..Config::default() }, ..Setup::default() }
}

/// A request of a client.
pub fn request(version: u8, mode: Mode) -> Header {
    let transmit = NtpTimestamp::from_bits(0x0123_4567_89ab_cdef);
    Header { poll: 6, precision: 0, ..Header::request(mode, Version::new(version).unwrap(), transmit) }
}

impl Bench {
    pub fn new(setup: Setup) -> Self {
        Self::on(setup, true)
    }

    pub fn on(setup: Setup, can_steer: bool) -> Self {
        let machine = Machine {
            can_steer,
            precision: -20,
            drift: None,
            system: "Linux/2.6.32".to_owned(),
            processor: "x86_64".to_owned(),
            seed: [7; 32],
        };
        let start = Now { mono: MonoTime::ZERO, wall: NtpTimestamp::from_unix(START, 0) };
        let mut bench = Self {
            engine: Engine::new(start, &machine, setup),
            time: 0.0,
            behind: 0.0,
            sent: Vec::new(),
            events: Vec::new(),
            commands: Vec::new(),
            others: Vec::new(),
            permits: true,
        };
        bench.drain();
        let interface = Interface { name: "eth0".to_owned(), address: ip(HOST) };
        bench.input(Input::Interfaces(vec![interface]));
        bench
    }

    pub fn now(&self) -> Now {
        Now {
            mono: MonoTime::ZERO + Seconds::new(self.time),
            wall: self.truth().offset(Seconds::new(-self.behind)),
        }
    }

    /// The servers' time.
    pub fn truth(&self) -> NtpTimestamp {
        NtpTimestamp::from_unix(START, 0).offset(Seconds::new(self.time))
    }

    pub fn input(&mut self, input: Input<'_>) {
        self.engine.handle(self.now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.next_output() {
            match output {
                Output::Send(mut tx) => {
                    let leaves = self.now().wall;
                    self.engine.complete(&mut tx, leaves);
                    if let Some(token) = tx.token {
                        let from = Some(ip(HOST)).filter(|own| own.is_ipv4() == tx.to.is_ipv4());
                        self.engine.handle(self.now(), Input::Sent { token, at: Stamp::clock(leaves), from });
                    }
                    self.sent.push(tx);
                }
                Output::Event(event) => self.events.push(event),
                Output::Clock(command) => {
                    let result = if self.permits {
                        if let ClockCommand::Step(by) = command {
                            self.behind -= by.get();
                        }
                        Ok(())
                    } else {
                        Err(rsntpd::engine::contract::ClockFailure::NotPermitted)
                    };
                    self.commands.push(command);
                    self.engine.handle(self.now(), Input::ClockDone(ClockReport { command, result }));
                }
                other => self.others.push(other),
            }
        }
    }

    /// Goes to the next deadline, at most to `limit`; false if that is where it stopped.
    pub fn advance(&mut self, limit: f64) -> bool {
        let due = self.engine.next_deadline().map_or(f64::INFINITY, |d| d.since(MonoTime::ZERO).get());
        self.time = due.min(limit).max(self.time);
        self.input(Input::Timer);
        due <= limit
    }

    /// Goes on to `until`; every request is answered by `answer`, or not.
    pub fn run(&mut self, until: f64, mut answer: impl FnMut(&Header, &Tx) -> Option<Header>) {
        loop {
            for tx in std::mem::take(&mut self.sent) {
                let Ok(request) = Header::parse(&tx.data) else { continue };
                if let Some(reply) = answer(&request, &tx) {
                    self.deliver(&reply.to_bytes(), tx.to);
                }
            }
            if !self.advance(until) {
                return;
            }
        }
    }

    /// Runs with every request answered truly by a stratum 1 server.
    pub fn run_served(&mut self, until: f64) {
        loop {
            for tx in std::mem::take(&mut self.sent) {
                let Ok(request) = Header::parse(&tx.data) else { continue };
                let reply = self.reply(&request, 1);
                self.deliver(&reply.to_bytes(), tx.to);
            }
            if !self.advance(until) {
                return;
            }
        }
    }

    /// What an honest server of that stratum answers at this moment.
    pub fn reply(&self, request: &Header, stratum: u8) -> Header {
        Header {
            mode: Mode::Server,
            stratum,
            leap: Leap::None,
            precision: -20,
            reference_id: RefId::from_text(b"GPS"),
            reference: self.truth().offset(Seconds::new(-10.0)),
            origin: request.transmit,
            receive: self.truth(),
            transmit: self.truth(),
            ..*request
        }
    }

    pub fn deliver(&mut self, data: &[u8], from: SocketAddr) {
        self.deliver_to(data, from, ip(HOST));
    }

    /// A datagram that comes to this address.
    pub fn deliver_to(&mut self, data: &[u8], from: SocketAddr, to: IpAddr) {
        let received = self.now().wall;
        self.input(Input::Datagram(Rx {
            data,
            from,
            to,
            socket: SocketId(1),
            received: Stamp::kernel(received),
        }));
    }

    /// Asks the engine for the time; the answer, if there is one.
    pub fn ask(&mut self, data: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        let now = self.now();
        let rx = Rx { data, from, to: ip(HOST), socket: SocketId(1), received: Stamp::clock(now.wall) };
        let mut buffer = [0; Engine::REPLY_MAX];
        match self.engine.serve(now, &rx, &mut || now.wall, &mut buffer) {
            Served::Reply(len) => Some(buffer[..len].to_vec()),
            Served::Dropped | Served::NotARequest => None,
        }
    }

    /// A mode-6 variable of the system (association 0) or of the association at that position.
    pub fn variable(&mut self, position: Option<usize>, name: &str) -> String {
        let association = position.map_or(0, |index| {
            let pairs = self.control(1, 0, "");
            u16::from_be_bytes([pairs[4 * index], pairs[4 * index + 1]])
        });
        let text = String::from_utf8(self.control(2, association, name)).unwrap();
        text.trim().split_once('=').map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    pub fn control(&mut self, opcode: u8, association: u16, data: &str) -> Vec<u8> {
        let mut packet = vec![0x16, opcode, 0, 1, 0, 0];
        packet.extend(association.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend((data.len() as u16).to_be_bytes());
        packet.extend(data.as_bytes());
        let waiting = std::mem::take(&mut self.sent);
        self.deliver(&packet, from("127.0.0.1:40000"));
        let answer = std::mem::replace(&mut self.sent, waiting).concat_data();
        let count = usize::from(u16::from_be_bytes([answer[10], answer[11]]));
        answer[12..12 + count].to_vec()
    }

    pub fn happened(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|e| wanted(e)).count()
    }
}

trait ConcatData {
    fn concat_data(self) -> Vec<u8>;
}

impl ConcatData for Vec<Tx> {
    fn concat_data(self) -> Vec<u8> {
        self.into_iter().flat_map(|tx| tx.data).collect()
    }
}
