//! Worlds under construction: a client, its servers and clocks.

use rsntpd::config::model::{Config, Kind, Server, Target, Tos};
use rsntpd::engine::clock::Drift;
use rsntpd::engine::contract::Setup;
use rsntpd::units::PollExponent;
use sim::chance::Dice;
use sim::clock::Clock;
use sim::device::Device;
use sim::link::{Direction, Link, Queue};
use sim::scenario::{CLIENT, EPOCH};
use sim::world::{TrueServer, World};

/// A world under construction: the client is [`CLIENT`], true servers are 192.0.2.N.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) setup: Setup,
    pub(crate) servers: Vec<(TrueServer, Link)>,
    pub(crate) devices: Vec<Device>,
    pub(crate) offset: f64,
    pub(crate) drift: f64,
    pub(crate) wander: f64,
    /// What it measures as its clock's precision, log2 seconds.
    pub(crate) precision: i8,
    pub(crate) file: Option<Drift>,
}

pub(crate) fn address(n: usize) -> String {
    format!("192.0.2.{}", n + 1)
}

pub(crate) fn line(address: &str) -> Server {
    Server::new(Kind::Server, Target::Address(address.parse().unwrap()))
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let setup = Setup { config: Config::default(), allow_panic_once: true, ..Setup::default() };
        Self {
            seed,
            setup,
            servers: Vec::new(),
            devices: Vec::new(),
            offset: 0.01,
            drift: 10e-6,
            wander: 1e-9,
            precision: -23,
            file: None,
        }
    }

    /// One more server, with so much delay each way and an exponential queue.
    pub(crate) fn server(mut self, up: f64, down: f64, queue: f64) -> Self {
        let n = self.servers.len();
        let way = |base| Direction::new(base, Queue::Exponential(queue));
        let link = Link::new(way(up), way(down), Dice::new(self.seed, 100 + n as u64));
        self.servers.push((TrueServer::new(&address(n)), link));
        self.setup.config.servers.push(Server { iburst: true, ..line(&address(n)) });
        self
    }

    /// A reference clock, and its device; `change` says more of its line.
    pub(crate) fn clock(mut self, device: Device, change: impl FnOnce(&mut Server)) -> Self {
        let (kind, unit) = (device.driver.number(), device.unit);
        let mut line = Server::new(Kind::Server, Target::RefClock { kind, unit });
        line.minpoll = PollExponent::of_clock(4);
        line.maxpoll = line.minpoll;
        change(&mut line);
        self.setup.config.servers.push(line);
        self.devices.push(device);
        self
    }

    /// Changes the configuration.
    pub(crate) fn setting(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.setup.config);
        self
    }

    /// The clock is off at the start by so much, seconds.
    pub(crate) fn off_by(self, offset: f64) -> Self {
        Self { offset, ..self }
    }

    /// One more in the LAN.
    pub(crate) fn near(self) -> Self {
        self.server(100e-6, 100e-6, 10e-6)
    }

    /// Changes the last server.
    pub(crate) fn last(mut self, change: impl FnOnce(&mut TrueServer, &mut Link, &mut Server)) -> Self {
        let (server, link) = self.servers.last_mut().unwrap();
        change(server, link, self.setup.config.servers.last_mut().unwrap());
        self
    }

    pub(crate) fn wrong_by(self, error: f64) -> Self {
        self.last(|server, _, _| server.error = Box::new(move |_| error))
    }

    /// All servers are configured like this.
    pub(crate) fn all(mut self, change: impl Fn(&mut Server)) -> Self {
        self.setup.config.servers.iter_mut().for_each(change);
        self
    }

    pub(crate) fn tos(mut self, change: impl FnOnce(&mut Tos)) -> Self {
        change(&mut self.setup.config.tos);
        self
    }

    /// The clock's rate wanders by so much, s/s per √s.
    pub(crate) fn wandering(self, wander: f64) -> Self {
        Self { wander, ..self }
    }

    /// The daemon measures this precision, log2 seconds.
    pub(crate) fn reading(self, precision: i8) -> Self {
        Self { precision, ..self }
    }

    pub(crate) fn world(self) -> World {
        let mut world = World::new(EPOCH);
        world.precision = self.precision;
        for (n, (server, link)) in self.servers.into_iter().enumerate() {
            world.servers.push(server);
            world.connect(CLIENT, &address(n), link);
        }
        world.devices = self.devices;
        let clock = Clock::new(EPOCH, self.offset, self.drift, self.wander, Dice::new(self.seed, 1));
        world.add_host(CLIENT, clock, self.setup, self.file, &mut Dice::new(self.seed, 2));
        world
    }
}
