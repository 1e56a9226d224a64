//! A server that sends the time to its network, and hosts that hear it.

use super::chance::Dice;
use super::clock::Clock;
use super::link::{Direction, Link, Queue};
use super::scenario::EPOCH;
use super::world::{TrueServer, World};
use rsntpd::config::model::{Digest, Key, Kind, Server, Target};
use rsntpd::engine::contract::Setup;
use rsntpd::engine::report::event::Event;
use rsntpd::engine::sources::Source;
use rsntpd::units::{KeyId, Leap, NtpShort, NtpTimestamp, PollExponent, RefId, Seconds};
use rsntpd::wire::{Header, Mode, Version};

pub const SERVER: &str = "10.0.0.1";

pub const UTC: &str = "192.0.2.1";

/// The interval of broadcasts, seconds.
pub const INTERVAL: f64 = 16.0;

pub fn key() -> Key {
    Key::new(KeyId(7), Digest::Sha1, b"network".to_vec())
}

/// A setup that trusts key 7.
pub fn keyed() -> Setup {
    let mut setup = Setup { keys: vec![key()], ..Setup::default() };
    setup.config.auth.trusted = vec![KeyId(7)];
    setup
}

pub fn client(n: usize) -> String {
    format!("10.0.0.{}", n + 2)
}

/// A way of so many seconds from the server and back.
pub fn way(seed: u64, n: usize, up: f64, down: f64) -> Link {
    let one = |base| Direction::new(base, Queue::Exponential(20e-6));
    Link::new(one(up), one(down), Dice::new(seed, 100 + n as u64))
}

/// A server that sends the time to its network, and hosts that hear it.
pub struct Network {
    pub world: World,
}

impl Network {
    /// `to` is where it sends. `set_up` says more of the listeners.
    pub fn new(seed: u64, hosts: usize, to: &str, set_up: impl Fn(&mut Setup)) -> Self {
        let mut world = World::new(EPOCH);
        world.servers.push(TrueServer::new(UTC));
        world.connect(SERVER, UTC, way(seed, 50, 100e-6, 100e-6));
        for n in 0..hosts {
            let mut link = way(seed, n, 1e-3, 1e-3);
            link.loss = 0.05;
            world.connect(SERVER, &client(n), link);
        }
        let mut announces = keyed();
        let utc = Server::new(Kind::Server, Target::Address(UTC.parse().unwrap()));
        let network = Server {
            key: Some(KeyId(7)),
            minpoll: PollExponent::new(4),
            ..Server::new(Kind::Broadcast, Target::Address(to.parse().unwrap()))
        };
        announces.config.servers = vec![Server { iburst: true, ..utc }, network];
        let clock = Clock::new(EPOCH, 0.0, 0.0, 1e-10, Dice::new(seed, 40));
        world.add_host(SERVER, clock, announces, None, &mut Dice::new(seed, 41));
        for n in 0..hosts {
            let mut hears = keyed();
            hears.config.reception.broadcastclient = true;
            set_up(&mut hears);
            let clock = Clock::new(EPOCH, 0.02, 20e-6 * (n as f64 - 1.0), 1e-9, Dice::new(seed, n as u64));
            world.add_host(&client(n), clock, hears, None, &mut Dice::new(seed, 60 + n as u64));
        }
        Self { world }
    }

    /// The offsets of the hosts' clocks to the server's, each second until then.
    pub fn run(&mut self, until: f64) -> Vec<Vec<f64>> {
        let mut errors = vec![Vec::new(); self.world.hosts.len() - 1];
        while self.world.time < until {
            self.world.run(self.world.time.floor() + 1.0);
            let server = self.world.hosts[0].clock.offset;
            for (host, errors) in self.world.hosts[1..].iter().zip(&mut errors) {
                errors.push(host.clock.offset - server);
            }
        }
        errors
    }

    pub fn source(&self, host: usize) -> Option<&Source> {
        let engine = &self.world.hosts[host + 1].engine;
        let id = engine.associations().next()?.id;
        engine.source(id)
    }

    pub fn texts(&self, host: usize) -> Vec<String> {
        let events = &self.world.hosts[host + 1].events;
        events.iter().map(|(at, e)| format!("{at:.0} {}", e.row().text)).collect()
    }

    pub fn times(&self, host: usize, wanted: impl Fn(&Event) -> bool) -> Vec<f64> {
        let events = &self.world.hosts[host + 1].events;
        events.iter().filter(|(_, e)| wanted(e)).map(|(at, _)| *at).collect()
    }
}

pub fn broken() -> Link {
    let mut link = way(0, 0, 1e-3, 1e-3);
    link.loss = 1.0;
    link
}

/// A broadcast at true time `at`, signed by our key or not.
pub fn forged(at: f64, n: u64) -> Vec<u8> {
    use rsntpd::engine::auth::Keys;
    let truth = NtpTimestamp::from_unix(EPOCH, 0).offset(Seconds::new(at));
    let header = Header {
        leap: Leap::None,
        stratum: 1,
        poll: if n.is_multiple_of(3) { 5 } else { 4 },
        root_delay: NtpShort::default(),
        reference_id: RefId::from_bytes(*b"GPS\0"),
        // Long ago, soon, right, or never.
        ..Header::request(
            Mode::Broadcast,
            Version::V4,
            match n % 4 {
                0 => truth.offset(Seconds::new(-100.0)),
                1 => truth.offset(Seconds::new(10.0)),
                2 => truth,
                _ => NtpTimestamp::ZERO,
            },
        )
    };
    let mut data = header.to_bytes().to_vec();
    match n % 5 {
        0 => assert!(Keys::new(&[key()], &[KeyId(7)]).sign(KeyId(7), &mut data)),
        1 => data.extend([0; 4]),
        2 => data.extend([0, 0, 0, 7].into_iter().chain([0x5a; 20])),
        _ => {}
    }
    data
}
