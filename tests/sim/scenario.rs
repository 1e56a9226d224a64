//! One client, some servers, one set of noise laws: the scenarios of the accuracy table.

use super::chance::Dice;
use super::clock::{Clock, Swing};
use super::link::{Direction, Link, Queue};
use super::world::{TrueServer, World};
use rsntpd::config::model::{Config, Kind, Server, Target};
use rsntpd::engine::contract::Setup;
use rsntpd::units::PollExponent;

/// Unix time of the start: 2026-01-10, no month's end near.
pub const EPOCH: i64 = 1_768_003_200;
/// The client.
pub const CLIENT: &str = "10.0.0.1";

/// A scenario; times in seconds, frequencies in s/s.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub base: f64,
    pub up: Queue,
    pub down: Queue,
    pub wander: f64,
    pub offset: f64,
    pub drift: f64,
    pub servers: usize,
    /// The last server is wrong by this much.
    pub lie: f64,
    pub loss: f64,
    pub swing: Swing,
    pub minpoll: u8,
    pub maxpoll: u8,
    /// Error within which the clock counts as settled.
    pub settled: f64,
}

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Root mean square of the clock's error over the last 80 % of the run, seconds.
    pub rms: f64,
    /// Largest error there.
    pub max: f64,
    /// First second after which the error stays settled for an hour; `None` if it never does.
    pub settle: Option<f64>,
    pub packets: u64,
}

impl Scenario {
    /// Equal exponential queues both ways, ntpd's defaults.
    pub const fn new(name: &'static str, base: f64, jitter: f64, wander: f64) -> Self {
        Self {
            name,
            base,
            up: Queue::Exponential(jitter),
            down: Queue::Exponential(jitter),
            wander,
            offset: 0.010,
            drift: 10e-6,
            servers: 1,
            lie: 0.0,
            loss: 0.0,
            swing: Swing { amplitude: 0.0, period: 1.0 },
            minpoll: 6,
            maxpoll: 10,
            settled: 5e-3,
        }
    }

    /// The address of server `index`.
    pub fn server(index: usize) -> String {
        format!("192.0.2.{}", index + 1)
    }

    /// The way to server `index` in the world of this seed.
    pub fn link(&self, seed: u64, index: usize) -> Link {
        let (up, down) = (Direction::new(self.base, self.up), Direction::new(self.base, self.down));
        let mut link = Link::new(up, down, Dice::new(seed, 100 + index as u64));
        link.loss = self.loss;
        link
    }

    /// The world of this seed, ready to run; its first host is the client.
    pub fn world(&self, seed: u64) -> World {
        self.world_at(EPOCH, seed)
    }

    /// The same at another time: `epoch` in Unix seconds.
    pub fn world_at(&self, epoch: i64, seed: u64) -> World {
        let mut world = World::new(epoch);
        let mut clock = Clock::new(epoch, self.offset, self.drift, self.wander, Dice::new(seed, 1));
        clock.swing = self.swing;
        let mut config = Config::default();
        for index in 0..self.servers {
            let address = Self::server(index);
            let mut line = Server::new(Kind::Server, Target::Address(address.parse().unwrap()));
            line.iburst = true;
            line.minpoll = PollExponent::new(self.minpoll);
            line.maxpoll = PollExponent::new(self.maxpoll);
            config.servers.push(line);
            let mut server = TrueServer::new(&address);
            if self.lie != 0.0 && index + 1 == self.servers {
                let lie = self.lie;
                server.error = Box::new(move |_| lie);
            }
            world.servers.push(server);
            let link = self.link(seed, index);
            world.connect(CLIENT, &address, link);
        }
        let setup = Setup { config, allow_panic_once: true, ..Setup::default() };
        world.add_host(CLIENT, clock, setup, None, &mut Dice::new(seed, 2));
        world
    }

    /// Runs for `duration` seconds and judges the client's clock each second.
    pub fn run(&self, seed: u64, duration: f64) -> Report {
        self.watch(seed, duration, |_, _| {})
    }

    /// Runs and judges, and shows each second and the clock's error there.
    pub fn watch(&self, seed: u64, duration: f64, mut watcher: impl FnMut(f64, f64)) -> Report {
        let mut world = self.world(seed);
        let mut judge = Judge::new(self.settled, duration);
        for second in 1..=duration as u32 {
            let second = f64::from(second);
            world.run(second);
            let error = world.hosts[0].clock.offset;
            judge.second(second, error);
            watcher(second, error);
        }
        judge.report(world.hosts[0].sent)
    }
}

/// Judges a clock second by second.
pub struct Judge {
    settled: f64,
    duration: f64,
    squares: f64,
    count: u32,
    max: f64,
    unsettled: f64,
    settle: Option<f64>,
}

impl Judge {
    pub const fn new(settled: f64, duration: f64) -> Self {
        Self { settled, duration, squares: 0.0, count: 0, max: 0.0, unsettled: 0.0, settle: None }
    }

    /// The clock's error at `second`.
    pub fn second(&mut self, second: f64, error: f64) {
        let error = error.abs();
        if error > self.settled {
            self.unsettled = second;
        } else if self.settle.is_none() && second - self.unsettled >= 3600.0 {
            self.settle = Some(self.unsettled);
        }
        if second > self.duration / 5.0 {
            self.squares += error * error;
            self.max = self.max.max(error);
            self.count += 1;
        }
    }

    pub fn report(&self, packets: u64) -> Report {
        let rms = (self.squares / f64::from(self.count)).sqrt();
        Report { rms, max: self.max, settle: self.settle, packets }
    }
}

/// The scenarios of the accuracy table.
pub fn table() -> Vec<Scenario> {
    let internet = Scenario::new("internet", 0.010, 0.001, 1e-9);
    vec![
        Scenario { settled: 100e-6, ..Scenario::new("lan", 100e-6, 10e-6, 1e-9) },
        Scenario { settled: 500e-6, ..Scenario::new("campus", 0.001, 100e-6, 1e-9) },
        internet,
        Scenario { settled: 0.030, ..Scenario::new("bad", 0.030, 0.010, 1e-9) },
        Scenario { name: "wander", wander: 1e-8, ..internet },
        Scenario { settled: 100e-6, ..Scenario::new("lan-wander", 100e-6, 10e-6, 1e-8) },
        Scenario { name: "quiet", wander: 1e-10, ..internet },
        Scenario { name: "cold", offset: 0.100, drift: 100e-6, ..internet },
        Scenario { name: "asym", down: Queue::Exponential(100e-6), ..internet },
        Scenario {
            name: "burst",
            up: Queue::Burst(100e-6, 0.020),
            down: Queue::Exponential(100e-6),
            ..internet
        },
        Scenario { name: "loss", loss: 0.5, ..internet },
        Scenario { name: "thermal", swing: Swing { amplitude: 1e-6, period: 7200.0 }, ..internet },
        Scenario { name: "four", servers: 4, ..internet },
        Scenario { name: "falsetick", servers: 4, lie: 0.2, ..internet },
        Scenario { name: "fixpoll6", maxpoll: 6, ..internet },
    ]
}
