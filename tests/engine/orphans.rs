//! Orphan mode: hosts that lose all sources, or never had one, agree on a parent among them. Each limit is a number; every world is
//! its seed.

use rsntpd::config::model::{Kind, Server, Target};
use rsntpd::engine::Served;
use rsntpd::engine::contract::{ExitReason, Input, Rx, Setup, SocketId};
use rsntpd::engine::report::event::Event;
use rsntpd::units::{Leap, NtpTimestamp, PollExponent, RefId, Seconds, Stamp};
use rsntpd::wire::{Header, Mode, Version};
use sim::chance::Dice;
use sim::clock::Clock;
use sim::limits::within;
use sim::link::{Link, Queue};
use sim::scenario::EPOCH;
use sim::world::{TrueServer, World};

const ORPHAN: u8 = 5;
const SERVER: &str = "192.0.2.1";
const POLL: f64 = 64.0;
/// What `tos orphanwait` is by default.
const WAIT: f64 = 300.0;

fn address(n: usize) -> String {
    format!("10.0.0.{}", n + 1)
}

fn line(kind: Kind, address: &str) -> Server {
    let poll = PollExponent::new(6);
    Server { minpoll: poll, maxpoll: poll, ..Server::new(kind, Target::Address(address.parse().unwrap())) }
}

fn lan(seed: u64, n: u64) -> Link {
    Link::even(100e-6, Queue::Exponential(10e-6), Dice::new(seed, 100 + n))
}

fn broken() -> Link {
    let mut link = lan(0, 0);
    link.loss = 1.0;
    link
}

/// Hosts that are each other's partners, and one server.
struct Island {
    world: World,
}

impl Island {
    /// `setup` says more of the host of that number; the server answers while `answers` says so, by true time.
    fn new(hosts: usize, seed: u64, setup: impl Fn(usize, &mut Setup), answers: fn(f64) -> bool) -> Self {
        let mut world = World::new(EPOCH);
        world.servers.push(TrueServer { answers: Box::new(answers), ..TrueServer::new(SERVER) });
        for n in 0..hosts {
            world.connect(&address(n), SERVER, lan(seed, 50 + n as u64));
            for other in n + 1..hosts {
                world.connect(&address(n), &address(other), lan(seed, (10 * n + other) as u64));
            }
        }
        for n in 0..hosts {
            let mut own = Setup::default();
            own.config.tos.orphan = ORPHAN;
            let others = (0..hosts).filter(|other| *other != n);
            own.config.servers = others.map(|other| line(Kind::Peer, &address(other))).collect();
            setup(n, &mut own);
            // The first host's clock is right, the last one's is off by 100 ppm.
            let drift = 100e-6 * n as f64 / (hosts - 1) as f64;
            let clock = Clock::new(EPOCH, 0.005 * n as f64, drift, 1e-9, Dice::new(seed, n as u64));
            world.add_host(&address(n), clock, own, None, &mut Dice::new(seed, 80 + n as u64));
        }
        Self { world }
    }

    /// What a host says of itself as a server.
    fn says(&mut self, host: usize) -> Header {
        let host = &mut self.world.hosts[host];
        let now = host.clock.now();
        let request = Header::request(Mode::Client, Version::V4, NtpTimestamp::from_bits(1)).to_bytes();
        let (from, to) = ("10.0.0.77:40000".parse().unwrap(), host.address);
        let rx = Rx { data: &request, from, to, socket: SocketId(0), received: Stamp::clock(now.wall) };
        let mut reply = [0; rsntpd::engine::Engine::REPLY_MAX];
        let Served::Reply(len) = host.engine.serve(now, &rx, &mut || now.wall, &mut reply) else { panic!() };
        Header::parse(&reply[..len]).unwrap()
    }

    /// Runs until the hosts have these strata; gives the time.
    fn until(&mut self, strata: &[(usize, u8)], latest: f64) -> f64 {
        while self.world.time < latest {
            self.world.run(self.world.time + 1.0);
            if strata.iter().all(|(host, stratum)| self.says(*host).stratum == *stratum) {
                return self.world.time;
            }
        }
        f64::INFINITY
    }

    /// How far the clocks of these hosts are apart until then, at most, seconds.
    fn spread(&mut self, hosts: std::ops::Range<usize>, until: f64) -> f64 {
        let mut most = 0.0f64;
        while self.world.time < until {
            self.world.run(self.world.time + 16.0);
            let offsets = self.world.hosts[hosts.clone()].iter().map(|h| h.clock.offset);
            let (low, high) = offsets.fold((f64::MAX, f64::MIN), |(l, h), o| (l.min(o), h.max(o)));
            most = most.max(high - low);
        }
        most
    }

    fn texts(&self, host: usize) -> Vec<String> {
        self.world.hosts[host].events.iter().map(|(at, e)| format!("{at:.0} {}", e.row().text)).collect()
    }
}

/// The reference identifier of those that follow the first host.
fn first() -> RefId {
    RefId::from_ipv4([10, 0, 0, 1].into())
}

const SIZES: [(&str, usize); 3] = [("three hosts", 3), ("four hosts", 4), ("five hosts", 5)];

/// All but the first host, which is the parent, one stratum below it.
fn children(hosts: usize) -> Vec<(usize, u8)> {
    (0..hosts).map(|n| (n, if n == 0 { ORPHAN } else { ORPHAN + 1 })).collect()
}

#[test]
fn hosts_without_a_server_agree_on_the_one_with_the_lowest_address() {
    within("polls after orphanwait", 8.0, &SIZES, |&hosts, seed| {
        let mut island = Island::new(hosts, seed, |_, _| {}, |_| false);
        let early = island.until(&[(0, ORPHAN)], WAIT - 2.0);
        assert_eq!(early, f64::INFINITY, "not before its time");
        let mut agreed = f64::INFINITY;
        while agreed.is_infinite() && island.world.time < WAIT + 20.0 * POLL {
            let next = island.world.time + 1.0;
            let strata = island.until(&children(hosts), next);
            let follows = |n: usize, island: &mut Island| island.says(n).reference_id == first();
            if strata.is_finite() && (1..hosts).all(|n| follows(n, &mut island)) {
                agreed = strata;
            }
        }
        let parent = island.says(0);
        assert_eq!((parent.reference_id, parent.leap), (RefId::LOOPBACK, Leap::None));
        assert!(parent.root_delay.to_seconds() == Seconds::ZERO);
        assert!(parent.root_dispersion.to_seconds() < Seconds::new(1e-3));
        (agreed - WAIT) / POLL
    });
}

#[test]
fn their_clocks_keep_together() {
    within("us apart", 1000.0, &SIZES, |&hosts, seed| {
        let mut island = Island::new(hosts, seed, |_, _| {}, |_| false);
        island.world.run(1800.0);
        island.spread(0..hosts, 5400.0) * 1e6
    });
}

#[test]
fn another_parent_takes_the_place_of_one_that_dies() {
    within("polls", 25.0, &SIZES, |&hosts, seed| {
        let mut island = Island::new(hosts, seed, |_, _| {}, |_| false);
        island.world.run(2000.0);
        island.world.hosts[0].exit = Some(ExitReason::Shutdown);
        for n in 1..hosts {
            island.world.connect(&address(0), &address(n), broken());
        }
        let strata: Vec<(usize, u8)> =
            children(hosts)[1..].iter().map(|(n, _)| (*n, ORPHAN + u8::from(*n > 1))).collect();
        let agreed = island.until(&strata, 2000.0 + 40.0 * POLL);
        assert!(agreed.is_finite(), "{:?}", island.texts(1));
        let apart = island.spread(1..hosts, agreed + 3600.0);
        assert!(apart < 1e-3, "{apart} s apart");
        (agreed - 2000.0) / POLL
    });
}

#[test]
fn a_server_that_appears_wins() {
    let worlds = [("at the parent", 0), ("at a child", 1)];
    within("polls", 8.0, &worlds, |&at, seed| {
        let with_server = |n: usize, setup: &mut Setup| {
            if n == at {
                setup.config.servers.push(line(Kind::Server, SERVER));
            }
        };
        let mut island = Island::new(3, seed, with_server, |time| time > 2000.0);
        island.world.run(2000.0);
        assert_eq!(island.says(0).stratum, ORPHAN);
        let strata: Vec<(usize, u8)> = (0..3).map(|n| (n, if n == at { 2 } else { 3 })).collect();
        let followed = island.until(&strata, 2000.0 + 30.0 * POLL);
        assert!(followed.is_finite(), "{:?}", island.texts(0));
        island.world.run(followed + 1800.0);
        let worst = island.world.hosts.iter().map(|h| h.clock.offset.abs()).fold(0.0, f64::max);
        assert!(worst < 1e-3, "{worst} s off");
        (followed - 2000.0) / POLL
    });
}

#[test]
fn partners_that_lose_their_servers_keep_together_under_a_parent() {
    let limit = WAIT / POLL + 17.0;
    within("polls until there is a parent", limit, &[("two partners", 2), ("three", 3)], |&hosts, seed| {
        let with_server = |_, setup: &mut Setup| setup.config.servers.push(line(Kind::Server, SERVER));
        let mut island = Island::new(hosts, seed, with_server, |time| time < 3600.0);
        island.world.run(3600.0);
        let synchronized: Vec<u8> = (0..hosts).map(|n| island.says(n).stratum).collect();
        assert_eq!(synchronized, vec![2; hosts]);
        let agreed = island.until(&children(hosts), 3600.0 + 60.0 * POLL);
        assert!(agreed.is_finite(), "{:?}", island.texts(1));
        let apart = island.spread(0..hosts, agreed + 3600.0);
        assert!(apart < 1e-3, "{apart} s apart");
        (agreed - 3600.0) / POLL
    });
}

#[test]
fn a_host_alone_serves_after_orphanwait_and_not_after_a_reload_without() {
    let mut setup = Setup::default();
    (setup.config.tos.orphan, setup.config.tos.orphanwait) = (1, Seconds::new(20.0));
    let mut island = Island::new(2, 1, |_, own| *own = setup.clone(), |_| false);
    let began = island.until(&[(0, 1)], 100.0);
    assert!((20.0..22.0).contains(&began), "{began}");
    assert_eq!(island.says(0).reference_id, RefId::LOOP);
    let told = |e: &(f64, Event)| matches!(e.1, Event::StandsAlone(_));
    assert_eq!(island.world.hosts[0].events.iter().filter(|e| told(e)).count(), 1);
    island.world.run(200.0);
    assert_eq!(island.world.hosts[0].events.iter().filter(|e| told(e)).count(), 1, "it is logged once");
    let mut without = setup.clone();
    without.config.tos.orphan = 17;
    island.world.input(0, Input::Reload(Box::new(without)));
    assert_eq!((island.says(0).leap, island.says(0).stratum), (Leap::Unsynchronised, 0));
    island.world.input(0, Input::Reload(Box::new(setup)));
    let again = island.until(&[(0, 1)], 300.0);
    assert!((220.0..222.0).contains(&again), "{again}");
}

#[test]
fn the_local_clock_comes_before_orphan_mode() {
    let with_local = |n: usize, setup: &mut Setup| {
        if n == 1 {
            let mut local = Server::new(Kind::Server, Target::LocalClock { unit: 0 });
            local.fudge.stratum = Some(rsntpd::units::Stratum::new(3));
            setup.config.servers.push(local);
        }
    };
    let mut island = Island::new(3, 1, with_local, |_| false);
    let agreed = island.until(&[(0, 5), (1, 4), (2, 5)], 2000.0);
    assert!(agreed < 2000.0);
}
