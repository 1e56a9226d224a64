//! Two hosts that are each other's partner.

use super::chance::Dice;
use super::clock::Clock;
use super::link::{Link, Queue};
use super::scenario::EPOCH;
use super::world::{TrueServer, World};
use rsntpd::config::model::{Digest, Key, Kind, Server, Target};
use rsntpd::engine::contract::Setup;
use rsntpd::engine::report::event::Event;
use rsntpd::engine::sources::Source;
use rsntpd::units::{KeyId, NtpTimestamp, PollExponent};
use rsntpd::wire::{Header, Mode, Version};

pub const A: &str = "10.0.0.1";

pub const B: &str = "10.0.0.2";

pub fn line(kind: Kind, address: &str) -> Server {
    Server::new(kind, Target::Address(address.parse().unwrap()))
}

pub fn key() -> Key {
    Key::new(KeyId(7), Digest::Sha1, b"partners".to_vec())
}

/// A setup that trusts key 7.
pub fn keyed() -> Setup {
    let mut setup = Setup { keys: vec![key()], ..Setup::default() };
    setup.config.auth.trusted = vec![KeyId(7)];
    setup
}

pub fn lan(seed: u64, n: u64) -> Link {
    Link::even(100e-6, Queue::Exponential(10e-6), Dice::new(seed, 100 + n))
}

/// One on which nothing arrives.
pub fn broken() -> Link {
    let mut link = lan(0, 0);
    link.loss = 1.0;
    link
}

pub fn server(n: u64) -> String {
    format!("192.0.2.{n}")
}

/// Two hosts, linked; `servers` true ones each, the last 3 of the second host are others.
pub struct Pair {
    pub world: World,
}

impl Pair {
    pub fn new(seed: u64, a: Setup, b: Setup) -> Self {
        let mut world = World::new(EPOCH);
        world.connect(A, B, lan(seed, 0));
        for n in 1..=3 {
            world.servers.push(TrueServer::new(&server(n)));
            for (index, host) in [A, B].into_iter().enumerate() {
                world.connect(host, &server(n), lan(seed, 10 * (index as u64 + 1) + n));
            }
        }
        for (n, (address, setup)) in [(A, a), (B, b)].into_iter().enumerate() {
            let drift = if n == 0 { 10e-6 } else { -20e-6 };
            let clock = Clock::new(EPOCH, 0.01, drift, 1e-9, Dice::new(seed, n as u64));
            world.add_host(address, clock, setup, None, &mut Dice::new(seed, 50 + n as u64));
        }
        Self { world }
    }

    pub fn run(&mut self, until: f64) -> Vec<f64> {
        let mut errors = Vec::new();
        while self.world.time < until {
            self.world.run(self.world.time.floor() + 1.0);
            errors.push(self.world.hosts[1].clock.offset);
        }
        errors
    }

    pub fn stratum(&mut self, host: usize) -> u8 {
        self.says(host).stratum
    }

    /// What a host says of itself as a server.
    pub fn says(&mut self, host: usize) -> Header {
        use rsntpd::engine::Served;
        use rsntpd::engine::contract::{Rx, SocketId};
        use rsntpd::units::Stamp;
        let host = &mut self.world.hosts[host];
        let now = host.clock.now();
        let request = Header::request(Mode::Client, Version::V4, NtpTimestamp::from_bits(1)).to_bytes();
        let from = "10.0.0.77:40000".parse().unwrap();
        let (to, socket) = (host.address, SocketId(0));
        let rx = Rx { data: &request, from, to, socket, received: Stamp::clock(now.wall) };
        let mut reply = [0; rsntpd::engine::Engine::REPLY_MAX];
        let Served::Reply(len) = host.engine.serve(now, &rx, &mut || now.wall, &mut reply) else { panic!() };
        Header::parse(&reply[..len]).unwrap()
    }

    pub fn texts(&self, host: usize) -> Vec<String> {
        self.world.hosts[host].events.iter().map(|(at, e)| format!("{at:.0} {}", e.row().text)).collect()
    }

    pub fn times(&self, host: usize, wanted: impl Fn(&Event) -> bool) -> Vec<f64> {
        self.world.hosts[host].events.iter().filter(|(_, e)| wanted(e)).map(|(at, _)| *at).collect()
    }
}

/// The first host has `servers` true servers and its partner, the second only its partner.
pub fn one_with_servers(servers: u64, change: impl Fn(&mut Server)) -> (Setup, Setup) {
    let (mut a, mut b) = (Setup::default(), Setup::default());
    a.config.servers = (1..=servers).map(|n| line(Kind::Server, &server(n))).collect();
    a.config.servers.push(line(Kind::Peer, B));
    b.config.servers = vec![line(Kind::Peer, A)];
    for setup in [&mut a, &mut b] {
        setup.config.servers.iter_mut().filter(|s| s.kind == Kind::Peer).for_each(&change);
    }
    (a, b)
}

/// A packet as an attacker sends it who knows the addresses.
pub fn forged(n: u64) -> Header {
    Header {
        leap: rsntpd::units::Leap::None,
        stratum: 1,
        poll: 4,
        receive: NtpTimestamp::from_unix(EPOCH + 5, 0),
        origin: NtpTimestamp::from_bits(if n.is_multiple_of(2) { 0 } else { n << 20 }),
        ..Header::request(
            if n.is_multiple_of(3) { Mode::SymmetricPassive } else { Mode::SymmetricActive },
            Version::V4,
            NtpTimestamp::from_unix(EPOCH + n as i64, 12345),
        )
    }
}

/// As [`one_with_servers`], polled every 16 s, with or without a key.
pub fn every_16_s(servers: u64, with_key: bool) -> (Setup, Setup) {
    let (mut a, mut b) = one_with_servers(servers, |line| {
        line.key = with_key.then_some(KeyId(7));
        (line.minpoll, line.maxpoll) = (PollExponent::new(4), PollExponent::new(4));
    });
    for setup in [&mut a, &mut b] {
        setup.keys = vec![key()];
        setup.config.auth.trusted = vec![KeyId(7)];
    }
    (a, b)
}

impl Pair {
    /// The association with the partner, which is the last one.
    pub fn partner(&self, host: usize) -> &Source {
        let engine = &self.world.hosts[host].engine;
        engine.source(engine.associations().last().unwrap().id).unwrap()
    }
}

/// Two partners, of which these interleave; what they send leaves up to 100 us after its transmit timestamp was written, and the kernel
/// reports when.
pub fn interleaving(seed: u64, xleave: [bool; 2], loss: f64) -> Pair {
    let (mut a, mut b) = every_16_s(1, true);
    for (setup, xleave) in [(&mut a, xleave[0]), (&mut b, xleave[1])] {
        let peers = setup.config.servers.iter_mut().filter(|s| s.kind == Kind::Peer);
        peers.for_each(|line| line.xleave = xleave);
    }
    let mut pair = Pair::new(seed, a, b);
    let mut link = lan(seed, 0);
    link.loss = loss;
    pair.world.connect(A, B, link);
    pair.world.late_by = Some((100e-6, Dice::new(seed, 200)));
    pair
}

/// One that is configured, and a host that lets itself be made a partner by a key.
pub fn configured_and_passive() -> (Setup, Setup) {
    let (mut a, mut b) = (keyed(), keyed());
    a.config.servers = vec![line(Kind::Peer, B)];
    a.config.servers[0].key = Some(KeyId(7));
    (a.config.servers[0].minpoll, a.config.servers[0].maxpoll) = (PollExponent::new(4), PollExponent::new(4));
    b.config.servers = vec![line(Kind::Server, &server(1))];
    (a, b)
}

/// A packet of mode 1, signed with key 7.
pub fn signed(n: u64) -> Vec<u8> {
    use rsntpd::engine::auth::Keys;
    let header = Header { origin: NtpTimestamp::ZERO, mode: Mode::SymmetricActive, ..forged(n) };
    let mut data = header.to_bytes().to_vec();
    assert!(Keys::new(&[key()], &[KeyId(7)]).sign(KeyId(7), &mut data));
    data
}
