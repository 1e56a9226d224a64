//! Broadcast clients: hosts that take the time from what a server sends to a network or a group. Each limit is a number; every world
//! is its seed.

use crate::among::{rms, within};
use rsntpd::config::model::{Digest, Key, Kind, Server, Target};
use rsntpd::engine::contract::{ExitReason, Setup};
use rsntpd::engine::report::event::Event;
use rsntpd::engine::sources::Source;
use rsntpd::units::{KeyId, Leap, NtpShort, NtpTimestamp, PollExponent, RefId, Seconds};
use rsntpd::wire::{Header, Mode, Version};
use sim::chance::Dice;
use sim::clock::Clock;
use sim::link::{Direction, Link, Queue};
use sim::scenario::EPOCH;
use sim::world::{TrueServer, World};

const SERVER: &str = "10.0.0.1";
const UTC: &str = "192.0.2.1";
/// The interval of broadcasts, seconds.
const INTERVAL: f64 = 16.0;

fn key() -> Key {
    Key::new(KeyId(7), Digest::Sha1, b"network".to_vec())
}

/// A setup that trusts key 7.
fn keyed() -> Setup {
    let mut setup = Setup { keys: vec![key()], ..Setup::default() };
    setup.config.auth.trusted = vec![KeyId(7)];
    setup
}

fn client(n: usize) -> String {
    format!("10.0.0.{}", n + 2)
}

/// A way of so many seconds from the server and back.
fn way(seed: u64, n: usize, up: f64, down: f64) -> Link {
    let one = |base| Direction::new(base, Queue::Exponential(20e-6));
    Link::new(one(up), one(down), Dice::new(seed, 100 + n as u64))
}

/// A server that sends the time to its network, and hosts that hear it.
struct Network {
    world: World,
}

impl Network {
    /// `to` is where it sends. `set_up` says more of the listeners.
    fn new(seed: u64, hosts: usize, to: &str, set_up: impl Fn(&mut Setup)) -> Self {
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
    fn run(&mut self, until: f64) -> Vec<Vec<f64>> {
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

    fn source(&self, host: usize) -> Option<&Source> {
        let engine = &self.world.hosts[host + 1].engine;
        let id = engine.associations().next()?.id;
        engine.source(id)
    }

    fn texts(&self, host: usize) -> Vec<String> {
        let events = &self.world.hosts[host + 1].events;
        events.iter().map(|(at, e)| format!("{at:.0} {}", e.row().text)).collect()
    }

    fn times(&self, host: usize, wanted: impl Fn(&Event) -> bool) -> Vec<f64> {
        let events = &self.world.hosts[host + 1].events;
        events.iter().filter(|(_, e)| wanted(e)).map(|(at, _)| *at).collect()
    }
}

fn worst(errors: &[Vec<f64>], from: usize) -> f64 {
    errors.iter().map(|host| rms(&host[from..])).fold(0.0, f64::max)
}

#[test]
fn hosts_keep_the_time_that_they_hear() {
    let worlds = [("a network", "10.0.0.255"), ("a group", "224.0.1.1")];
    within("us rms after 20 min, the worst of 3 hosts", 100.0, &worlds, |to, seed| {
        let mut network = Network::new(seed, 3, to, |hears| {
            hears.config.reception.groups = vec!["224.0.1.1".parse().unwrap()];
        });
        let errors = network.run(20_000.0);
        for host in 0..3 {
            assert_eq!(network.times(host, |e| matches!(e, Event::Mobilized(_))).len(), 1);
            let source = network.source(host).unwrap();
            assert_eq!(source.own_mode().to_bits(), 6, "{:?}", network.texts(host));
            assert_eq!(source.peer_mode(), Some(Mode::Broadcast));
            assert!(!source.is_configured() && source.reach().register().count_ones() >= 6);
            // The volley's packets, and no more.
            assert!(network.world.hosts[host + 1].sent <= 9, "{}", network.world.hosts[host + 1].sent);
        }
        worst(&errors, 1200) * 1e6
    });
}

#[test]
fn a_server_that_steps_is_followed() {
    within(
        "broadcasts until within 10 ms",
        8.0,
        &[("by 0.5 s", 0.5), ("back by 0.5 s", -0.5)],
        |by, seed| {
            // An offset beyond the step threshold is watched for so long, whatever the source.
            let mut network = Network::new(seed, 3, "10.0.0.255", |hears| {
                hears.config.tinker.stepout = Seconds::new(4.0 * INTERVAL);
            });
            network.run(3600.0);
            // Its own server goes another way from now on, and so does it.
            let by = *by;
            network.world.servers[0].error = Box::new(move |_| by);
            network.world.set_clock(0, by);
            let errors = network.run(3600.0 + 1000.0);
            let late = |host: &Vec<f64>| host.iter().rposition(|e| e.abs() > 0.01).map_or(0, |at| at + 1);
            let seconds = errors.iter().map(late).max().unwrap() as f64;
            if seconds > 8.0 * INTERVAL {
                println!("{:#?}", network.texts(0));
            }
            seconds / INTERVAL
        },
    );
}

#[test]
fn one_that_is_silent_ends_after_16_intervals_and_begins_anew_with_its_return() {
    within("intervals", 17.0, &[("silent for an hour", ())], |(), seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        network.run(2000.0);
        let last = network.world.time;
        let link = std::mem::replace(network.world.link(SERVER, &client(0)), broken());
        network.run(last + 3600.0);
        let ended = network.times(0, |e| matches!(e, Event::Demobilized(_)));
        assert_eq!(ended.len(), 1, "{:?}", network.texts(0));
        *network.world.link(SERVER, &client(0)) = link;
        network.run(last + 4000.0);
        let made = network.times(0, |e| matches!(e, Event::Mobilized(_)));
        assert_eq!(made.len(), 2);
        assert!(made[1] - (last + 3600.0) < 3.0 * INTERVAL, "{made:?}");
        let intervals = (ended[0] - last) / INTERVAL;
        if intervals < 15.0 { f64::INFINITY } else { intervals }
    });
}

fn broken() -> Link {
    let mut link = way(0, 0, 1e-3, 1e-3);
    link.loss = 1.0;
    link
}

#[test]
fn a_way_that_changes_is_measured_again() {
    // Milliseconds of a broadcast, and of the way back, from each hour on.
    let worlds: [(&str, &[(f64, f64)]); 5] = [
        ("broadcasts take 5 ms in place of 1", &[(5.0, 1.0)]),
        ("and 1 ms again", &[(5.0, 1.0), (1.0, 1.0)]),
        ("5 ms, then the way back as well", &[(5.0, 1.0), (5.0, 5.0), (5.0, 1.0)]),
        ("both take 3 ms", &[(3.0, 3.0)]),
        ("broadcasts take 1.3 ms, then 0.8", &[(1.3, 1.0), (0.8, 1.0)]),
    ];
    within("ms off, at most", 0.1, &worlds, |changes, seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        network.run(3600.0);
        let sent = network.world.hosts[1].sent;
        let mut most = 0.0f64;
        for (hour, (up, down)) in (1..).zip(*changes) {
            *network.world.link(SERVER, &client(0)) = way(seed, 7 + hour, up * 1e-3, down * 1e-3);
            let errors = network.run(3600.0 * (1 + hour) as f64);
            most = errors[0].iter().fold(most, |most, e| most.max(e.abs()));
        }
        assert!(network.world.hosts[1].sent > sent, "it was measured again: {:?}", network.texts(0));
        most * 1e3
    });
}

#[test]
fn what_was_learnt_of_the_way_holds_when_the_server_steps() {
    within("ms off, half an hour after the step", 0.1, &[("5 ms and 1, by 20 ms", 0.02)], |by, seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        network.run(3600.0);
        *network.world.link(SERVER, &client(0)) = way(seed, 7, 5e-3, 1e-3);
        network.run(7200.0);
        let by = *by;
        network.world.servers[0].error = Box::new(move |_| by);
        network.world.set_clock(0, by);
        network.run(9000.0);
        let errors = network.run(14_400.0);
        errors[0].iter().map(|e| e.abs()).fold(0.0, f64::max) * 1e3
    });
}

#[test]
fn a_way_that_was_uneven_from_the_start_is_half_of_the_difference_off() {
    // No exchange of packets shows it: 5 ms and 1 ms look as twice 3 ms do.
    within("ms from 2 ms, on average", 0.01, &[("5 ms and 1", ())], |(), seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        *network.world.link(SERVER, &client(0)) = way(seed, 7, 5e-3, 1e-3);
        let errors = network.run(20_000.0);
        let mean = errors[0][2000..].iter().sum::<f64>() / (errors[0].len() - 2000) as f64;
        (mean + 2e-3).abs() * 1e3
    });
}

#[test]
fn broadcastdelay_is_used_and_nothing_is_sent() {
    within("us rms", 100.0, &[("2 ms there and back", ())], |(), seed| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |hears| {
            hears.config.reception.delay = Some(Seconds::new(0.002));
        });
        let errors = network.run(10_000.0);
        assert_eq!(network.world.hosts[1].sent, 0);
        worst(&errors, 1200) * 1e6
    });
}

/// A broadcast at true time `at`, signed by our key or not.
fn forged(at: f64, n: u64) -> Vec<u8> {
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

#[test]
fn cve_2015_7973_2016_7427_2016_7428_forged_replayed_and_untimely_broadcasts_change_nothing() {
    let run = |seed: u64, flood: bool| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        network.run(1000.0);
        if flood {
            let (from, to) = ("10.0.0.1:123".parse().unwrap(), format!("{}:123", client(0)).parse().unwrap());
            let stranger = |n: u64| format!("172.16.{}.{}:123", n / 250 % 250, n % 250 + 1).parse().unwrap();
            for n in 0..10_000u64 {
                let at = 1000.0 + n as f64 * 0.3;
                // Our own key may only have been heard, which makes a replay: no new time is signed by it.
                let data = if n.is_multiple_of(5) { forged(900.0, n) } else { forged(at, n) };
                network.world.put(at, data, if n.is_multiple_of(2) { from } else { stranger(n) }, to);
            }
        }
        let errors = network.run(4500.0);
        let server: std::net::IpAddr = SERVER.parse().unwrap();
        let ended = network.times(0, |e| match e {
            Event::Demobilized(peer) | Event::Unreachable(peer) => peer.address.ip == server,
            _ => false,
        });
        assert!(ended.is_empty(), "{:?}", network.texts(0));
        let source = network.source(0).unwrap();
        (rms(&errors[0][500..]), source.reach().register())
    };
    within("times the rms without", 1.1, &[("10,000 packets", ())], |(), seed| {
        let (quiet, reach) = run(seed, false);
        let (flooded, under_attack) = run(seed, true);
        assert_eq!(reach, under_attack, "no sample is lost");
        flooded / quiet
    });
}

#[test]
fn without_a_key_and_with_auth_enabled_nothing_is_made() {
    let mut network = Network::new(1, 1, "10.0.0.255", |hears| hears.keys.clear());
    network.run(500.0);
    assert!(network.source(0).is_none());
    let mut network =
        Network::new(1, 1, "10.0.0.255", |hears| hears.config.reception.broadcastclient = false);
    network.run(500.0);
    assert!(network.source(0).is_none());
}

#[test]
fn cve_2016_1549_the_holder_of_a_key_makes_three_associations_at_most() {
    let mut network = Network::new(1, 1, "10.0.0.255", |_| {});
    network.run(300.0);
    let to = format!("{}:123", client(0)).parse().unwrap();
    for n in 0..1000u64 {
        let from = format!("172.16.{}.{}:123", n / 250, n % 250 + 1).parse().unwrap();
        let at = 300.0 + n as f64 * 0.25;
        network.world.put(at, forged(at, 5 * (4 * n + 2)), from, to);
    }
    network.run(700.0);
    let (made, ended) = (
        network.times(0, |e| matches!(e, Event::Mobilized(_))).len(),
        network.times(0, |e| matches!(e, Event::Demobilized(_))).len(),
    );
    assert!(made - ended <= 3, "{:?}", network.texts(0));
    // Those that do not respond to the volley are no sources.
    assert_eq!(
        network.world.hosts[1]
            .engine
            .associations()
            .filter(|a| a.address == Some("10.0.0.1".parse().unwrap()))
            .count(),
        1
    );
    network.world.hosts[0].exit = Some(ExitReason::Shutdown);
}

#[test]
fn with_q_the_clock_is_set_by_a_broadcast_and_none_are_waited_for_in_vain() {
    let ends = |keys: Option<&str>, silent: bool| {
        let mut network = Network::new(3, 1, "10.0.0.255", |hears| {
            hears.quit_after_set = true;
            hears.config.auth.keys = keys.map(Into::into);
        });
        if silent {
            *network.world.link(SERVER, &client(0)) = broken();
        }
        network.run(200.0);
        let end = network.times(0, |e| matches!(e, Event::Exiting(_)));
        (network.world.hosts[1].exit, end[0])
    };
    let (exit, at) = ends(Some("/etc/ntp/keys"), false);
    assert_eq!(exit, Some(ExitReason::ClockSet));
    assert!(at < 60.0, "{at}");
    let (exit, at) = ends(Some("/etc/ntp/keys"), true);
    assert_eq!(exit, Some(ExitReason::NoServer));
    assert!((149.0..151.0).contains(&at), "{at}");
    // Without a key none could be used.
    let (exit, at) = ends(None, true);
    assert_eq!(exit, Some(ExitReason::NoServer));
    assert!(at < 10.0, "{at}");
}
