//! Symmetric modes: hosts that are each other's partner. Each limit is a number; every world is its seed.

use crate::among::{rms, within};
use rsntpd::config::model::{Digest, Key, Kind, Server, Target};
use rsntpd::engine::contract::Setup;
use rsntpd::engine::report::event::Event;
use rsntpd::engine::sources::Source;
use rsntpd::units::{KeyId, NtpTimestamp, PollExponent, Stratum};
use rsntpd::wire::{Header, Mode, Version};
use sim::chance::Dice;
use sim::clock::Clock;
use sim::link::{Link, Queue};
use sim::scenario::EPOCH;
use sim::world::{TrueServer, World};

pub(crate) const A: &str = "10.0.0.1";
pub(crate) const B: &str = "10.0.0.2";

pub(crate) fn line(kind: Kind, address: &str) -> Server {
    Server::new(kind, Target::Address(address.parse().unwrap()))
}

fn key() -> Key {
    Key::new(KeyId(7), Digest::Sha1, b"partners".to_vec())
}

/// A setup that trusts key 7.
pub(crate) fn keyed() -> Setup {
    let mut setup = Setup { keys: vec![key()], ..Setup::default() };
    setup.config.auth.trusted = vec![KeyId(7)];
    setup
}

fn lan(seed: u64, n: u64) -> Link {
    Link::even(100e-6, Queue::Exponential(10e-6), Dice::new(seed, 100 + n))
}

/// One on which nothing arrives.
fn broken() -> Link {
    let mut link = lan(0, 0);
    link.loss = 1.0;
    link
}

pub(crate) fn server(n: u64) -> String {
    format!("192.0.2.{n}")
}

/// Two hosts, linked; `servers` true ones each, the last 3 of the second host are others.
pub(crate) struct Pair {
    pub(crate) world: World,
}

impl Pair {
    pub(crate) fn new(seed: u64, a: Setup, b: Setup) -> Self {
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

    pub(crate) fn run(&mut self, until: f64) -> Vec<f64> {
        let mut errors = Vec::new();
        while self.world.time < until {
            self.world.run(self.world.time.floor() + 1.0);
            errors.push(self.world.hosts[1].clock.offset);
        }
        errors
    }

    pub(crate) fn stratum(&mut self, host: usize) -> u8 {
        self.says(host).stratum
    }

    /// What a host says of itself as a server.
    fn says(&mut self, host: usize) -> Header {
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

    fn texts(&self, host: usize) -> Vec<String> {
        self.world.hosts[host].events.iter().map(|(at, e)| format!("{at:.0} {}", e.row().text)).collect()
    }

    fn times(&self, host: usize, wanted: impl Fn(&Event) -> bool) -> Vec<f64> {
        self.world.hosts[host].events.iter().filter(|(_, e)| wanted(e)).map(|(at, _)| *at).collect()
    }
}

/// The first host has `servers` true servers and its partner, the second only its partner.
fn one_with_servers(servers: u64, change: impl Fn(&mut Server)) -> (Setup, Setup) {
    let (mut a, mut b) = (Setup::default(), Setup::default());
    a.config.servers = (1..=servers).map(|n| line(Kind::Server, &server(n))).collect();
    a.config.servers.push(line(Kind::Peer, B));
    b.config.servers = vec![line(Kind::Peer, A)];
    for setup in [&mut a, &mut b] {
        setup.config.servers.iter_mut().filter(|s| s.kind == Kind::Peer).for_each(&change);
    }
    (a, b)
}

#[test]
fn a_partner_without_servers_follows_the_one_that_has_some() {
    within("us rms after 10 min", 1000.0, &[("both configured", ())], |(), seed| {
        let (a, b) = one_with_servers(3, |_| {});
        let mut pair = Pair::new(seed, a, b);
        let errors = pair.run(100_000.0);
        assert!(errors[600..].iter().all(|e| e.abs() < 1e-3), "{:?}", pair.texts(1));
        assert_eq!((pair.stratum(0), pair.stratum(1)), (2, 3), "{:?}", pair.texts(1));
        assert_eq!(pair.partner(1).peer_mode(), Some(Mode::SymmetricActive), "both are configured");
        rms(&errors[3600..]) * 1e6
    });
}

#[test]
fn it_keeps_time_about_as_well_as_a_client_of_the_same_host() {
    within("times a client's rms", 2.0, &[("lan", ())], |(), seed| {
        let (a, b) = one_with_servers(3, |_| {});
        let mut as_partner = Pair::new(seed, a.clone(), b);
        let partner = rms(&as_partner.run(100_000.0)[3600..]);
        let packets = as_partner.world.hosts[1].sent;
        let mut b = Setup::default();
        b.config.servers = vec![line(Kind::Server, A)];
        let mut as_client = Pair::new(seed, a, b);
        let client = rms(&as_client.run(100_000.0)[3600..]);
        assert!(packets <= 2 * as_client.world.hosts[1].sent, "{packets} packets");
        partner / client
    });
}

#[test]
fn partners_that_lose_their_servers_never_follow_each_other() {
    within("stratum", 2.0, &[("three servers each", 3), ("one server each", 1)], |&servers, seed| {
        let (mut a, mut b) = one_with_servers(servers, |_| {});
        b.config.servers.extend(a.config.servers.iter().filter(|s| s.kind == Kind::Server).cloned());
        a.config.tos.minclock = 3;
        let mut pair = Pair::new(seed, a, b);
        for server in &mut pair.world.servers {
            server.answers = Box::new(|time| time < 3600.0);
        }
        pair.run(3600.0);
        assert_eq!((pair.stratum(0), pair.stratum(1)), (2, 2));
        let before = pair.says(1).root_dispersion;
        let mut most = 0;
        while pair.world.time < 40_000.0 {
            let next = pair.world.time + 60.0;
            pair.run(next);
            most = most.max(pair.stratum(0)).max(pair.stratum(1));
        }
        assert!(pair.says(1).root_dispersion > before, "the error bound grows");
        f64::from(most)
    });
}

/// One that is configured, and a host that lets itself be made a partner by a key.
fn configured_and_passive() -> (Setup, Setup) {
    let (mut a, mut b) = (keyed(), keyed());
    a.config.servers = vec![line(Kind::Peer, B)];
    a.config.servers[0].key = Some(KeyId(7));
    (a.config.servers[0].minpoll, a.config.servers[0].maxpoll) = (PollExponent::new(4), PollExponent::new(4));
    b.config.servers = vec![line(Kind::Server, &server(1))];
    (a, b)
}

#[test]
fn a_key_makes_a_passive_association_and_silence_ends_it() {
    within("polls of 16 s", 17.5, &[("passive", ())], |(), seed| {
        let (a, b) = configured_and_passive();
        let mut pair = Pair::new(seed, a, b);
        pair.run(2000.0);
        assert_eq!(pair.stratum(0), 3, "it follows its partner: {:?}", pair.texts(0));
        assert_eq!(pair.times(1, |e| matches!(e, Event::Mobilized(_))).len(), 2, "{:?}", pair.texts(1));
        // The first host goes away.
        let gone = pair.world.time;
        pair.world.connect(A, B, broken());
        pair.world.hosts[0].exit = Some(rsntpd::engine::contract::ExitReason::Shutdown);
        pair.run(gone + 800.0);
        let ended = pair.times(1, |e| matches!(e, Event::Demobilized(_)));
        assert_eq!(ended.len(), 1, "{:?}", pair.texts(1));
        assert!(pair.texts(1).iter().any(|t| t.contains("restart timeout")), "{:?}", pair.texts(1));
        let polls = (ended[0] - gone) / 16.0;
        if polls < 15.0 { f64::INFINITY } else { polls }
    });
}

/// A packet of mode 1, signed with key 7.
fn signed(n: u64) -> Vec<u8> {
    use rsntpd::engine::auth::Keys;
    let header = Header { origin: NtpTimestamp::ZERO, mode: Mode::SymmetricActive, ..forged(n) };
    let mut data = header.to_bytes().to_vec();
    assert!(Keys::new(&[key()], &[KeyId(7)]).sign(KeyId(7), &mut data));
    data
}

#[test]
fn the_holder_of_a_key_makes_no_more_than_three_associations() {
    let (_, b) = configured_and_passive();
    let mut pair = Pair::new(2, Setup::default(), b);
    pair.run(100.0);
    let to = format!("{B}:123").parse().unwrap();
    for n in 0..10_000u64 {
        let from = format!("172.16.{}.{}:123", n % 1000 / 250, n % 250 + 1).parse().unwrap();
        pair.world.put(100.0 + n as f64 * 0.02, signed(n), from, to);
    }
    let errors = pair.run(1000.0);
    let made = pair.times(1, |e| matches!(e, Event::Mobilized(_)));
    let ended = pair.times(1, |e| matches!(e, Event::Demobilized(_)));
    assert!(made.len() - 1 - ended.len() <= 3, "{:?}", pair.texts(1));
    assert!(made[1..].windows(2).all(|pair| pair[1] - pair[0] >= 0.99), "one a second: {made:?}");
    assert_eq!(pair.stratum(1), 2);
    assert!(errors[100..].iter().all(|e| e.abs() < 1e-3), "they move no clock");
}

#[test]
fn a_reload_adds_and_removes_what_is_configured_and_keeps_what_packets_made() {
    use rsntpd::engine::contract::Input;
    let (_, b) = configured_and_passive();
    let mut bench = crate::bench::Bench::new(b.clone());
    bench.deliver(&signed(5), "172.16.0.9:123".parse().unwrap());
    let addresses = |bench: &crate::bench::Bench| -> Vec<String> {
        bench.engine.associations().filter_map(|a| a.address).map(|ip| ip.to_string()).collect()
    };
    assert_eq!(addresses(&bench), ["192.0.2.1", "172.16.0.9"]);
    let mut with_more = b.clone();
    let network = line(Kind::Broadcast, "10.0.0.255");
    with_more.config.servers.extend([line(Kind::Peer, "192.0.2.1"), line(Kind::Peer, A), network]);
    bench.input(Input::Reload(Box::new(with_more)));
    // A host may be a server and a peer.
    assert_eq!(addresses(&bench), ["192.0.2.1", "172.16.0.9", "192.0.2.1", A, "10.0.0.255"]);
    bench.input(Input::Reload(Box::new(b)));
    assert_eq!(addresses(&bench), ["192.0.2.1", "172.16.0.9"]);
}

#[test]
fn a_wrong_code_in_mode_1_is_not_answered() {
    let (_, b) = configured_and_passive();
    let mut bench = crate::bench::Bench::new(b);
    let answered = |bench: &mut crate::bench::Bench, data: &[u8], from: &str| {
        bench.sent.clear();
        let served = bench.ask(data, from.parse().unwrap()).is_some();
        bench.deliver(data, from.parse().unwrap());
        served || bench.sent.iter().any(|tx| tx.to == from.parse().unwrap())
    };
    let plain = forged(1).to_bytes();
    let wrong = [&plain[..], &[0, 0, 0, 7], &[0x5a; 20]].concat();
    assert!(!answered(&mut bench, &wrong, "172.16.0.9:123"));
    assert!(!answered(&mut bench, &wrong, "172.16.0.9:4000"));
    let nak = [&plain[..], &[0; 4]].concat();
    assert!(!answered(&mut bench, &nak, "172.16.0.9:123"));
}

#[test]
fn without_a_key_a_stranger_is_answered_and_nothing_is_kept() {
    let mut b = Setup::default();
    b.config.servers = vec![line(Kind::Server, &server(1))];
    let mut a = Setup::default();
    a.config.servers = vec![line(Kind::Peer, B)];
    let mut pair = Pair::new(1, a, b);
    pair.run(3000.0);
    assert_eq!(pair.stratum(0), 3, "the answers are enough: {:?}", pair.texts(0));
    assert_eq!(pair.times(1, |e| matches!(e, Event::Mobilized(_))).len(), 1, "{:?}", pair.texts(1));
}

/// A packet as an attacker sends it who knows the addresses.
fn forged(n: u64) -> Header {
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
fn every_16_s(servers: u64, with_key: bool) -> (Setup, Setup) {
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

#[test]
fn forged_packets_take_no_sample_and_no_memory() {
    let run = |seed: u64, flood: bool, key: bool| {
        let (a, b) = every_16_s(3, key);
        let mut pair = Pair::new(seed, a, b);
        pair.run(1000.0);
        if flood {
            let (from, to) = (format!("{A}:123").parse().unwrap(), format!("{B}:123").parse().unwrap());
            let stranger = |n: u64| format!("172.16.{}.{}:123", n / 250 % 250, n % 250 + 1).parse().unwrap();
            for n in 0..10_000u64 {
                let mut data = forged(n).to_bytes().to_vec();
                match n % 4 {
                    1 => data.extend([0; 4]),
                    2 => data.extend([0, 0, 0, 7].into_iter().chain([0x5a; 20])),
                    _ => {}
                }
                let sender = if n % 5 == 0 { from } else { stranger(n) };
                pair.world.put(1000.0 + n as f64 * 0.3, data, sender, to);
            }
        }
        let errors = pair.run(4100.0);
        assert_eq!(pair.stratum(1), 3, "{:?}", pair.texts(1));
        assert!(pair.times(1, |e| matches!(e, Event::Mobilized(_))).len() == 1, "{:?}", pair.texts(1));
        let lost = pair.times(1, |e| matches!(e, Event::Unreachable(_))).len();
        assert_eq!(lost, 0, "{:?}", pair.texts(1));
        rms(&errors[100..])
    };
    for (name, key) in [("with a key", true), ("without", false)] {
        within(&format!("times the rms without a flood, {name}"), 1.5, &[("flood", ())], |(), seed| {
            run(seed, true, key) / run(seed, false, key)
        });
    }
}

#[test]
fn every_loss_double_and_forgery_is_over_after_two_polls() {
    // One packet of twenty is lost, doubled, or a forged one comes right before or after it.
    for key in [false, true] {
        for mishap in 0..4 {
            for at in 0..20u32 {
                let (a, b) = every_16_s(1, key);
                let mut pair = Pair::new(3, a, b);
                let begin = 800.0 + f64::from(at) * 8.0;
                pair.run(begin);
                let link = |loss, duplicate| {
                    let mut link = lan(3, 0);
                    (link.loss, link.duplicate) = (loss, duplicate);
                    link
                };
                let forge = |pair: &mut Pair, n: u64| {
                    let data = forged(n).to_bytes().to_vec();
                    let addresses =
                        [format!("{A}:123").parse().unwrap(), format!("{B}:123").parse().unwrap()];
                    pair.world.put(pair.world.time, data.clone(), addresses[0], addresses[1]);
                    pair.world.put(pair.world.time, data, addresses[1], addresses[0]);
                };
                match mishap {
                    0 => pair.world.connect(A, B, link(1.0, 0.0)),
                    1 => pair.world.connect(A, B, link(0.0, 1.0)),
                    _ => forge(&mut pair, u64::from(at) * 7 + mishap),
                }
                pair.run(begin + 16.0);
                pair.world.connect(A, B, link(0.0, 0.0));
                let from = pair.world.time;
                pair.run(from + 16.0 * 2.0 * 1.07 + 1.0);
                let reach = pair.partner(1).reach().register();
                assert!(reach & 3 != 0, "key {key}, mishap {mishap} at {at}: reach {reach:o}");
            }
        }
    }
}

impl Pair {
    /// The association with the partner, which is the last one.
    fn partner(&self, host: usize) -> &Source {
        let engine = &self.world.hosts[host].engine;
        engine.source(engine.associations().last().unwrap().id).unwrap()
    }
}

#[test]
fn a_partner_that_was_off_for_a_day_is_used_again_soon() {
    within("s", 2.0 * 1024.0, &[("a day", ())], |(), seed| {
        let (a, b) = one_with_servers(3, |_| {});
        let mut pair = Pair::new(seed, a, b);
        pair.run(5000.0);
        pair.world.connect(A, B, broken());
        pair.world.connect(B, A, broken());
        pair.run(5000.0 + 86_400.0);
        let back = pair.world.time;
        pair.world.connect(A, B, lan(seed, 9));
        pair.world.connect(B, A, lan(seed, 8));
        pair.run(back + 6000.0);
        let again = pair.times(1, |e| matches!(e, Event::Reachable(_)));
        assert_eq!(Stratum::new(pair.stratum(1)), Stratum::new(3));
        again.iter().rev().find(|at| **at > back).map_or(f64::INFINITY, |at| at - back)
    });
}

/// Two partners, of which these interleave; what they send leaves up to 100 us after its transmit timestamp was written, and the kernel
/// reports when.
fn interleaving(seed: u64, xleave: [bool; 2], loss: f64) -> Pair {
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

#[test]
fn interleaved_packets_measure_without_the_delay_of_sending() {
    within("times the jitter of basic mode", 0.5, &[("both sides", ())], |(), seed| {
        let jitter = |xleave| {
            let mut pair = interleaving(seed, [xleave; 2], 0.0);
            let (mut sum, mut count) = (0.0, 0.0);
            while pair.world.time < 10_000.0 {
                pair.run(pair.world.time + 64.0);
                if pair.world.time > 2000.0 {
                    sum += pair.partner(1).filter().jitter().get();
                    count += 1.0;
                }
            }
            sum / count
        };
        jitter(true) / jitter(false)
    });
}

/// Which sides interleave, and what becomes of their packets.
#[derive(Clone, Copy)]
struct Disturbed {
    sides: [bool; 2],
    loss: f64,
    reordered: bool,
}

#[test]
fn cve_2016_1548_2016_4956_no_sample_is_wrong_whoever_interleaves_and_whatever_is_lost() {
    let mut worlds = Vec::new();
    for sides in [[true, true], [true, false], [false, true], [false, false]] {
        for (loss, reordered) in [(0.0, false), (0.1, false), (0.0, true)] {
            let name = format!("xleave {sides:?}, loss {loss}, reordered: {reordered}");
            worlds.push((name, Disturbed { sides, loss, reordered }));
        }
    }
    let worlds: Vec<(&str, Disturbed)> = worlds.iter().map(|(name, world)| (name.as_str(), *world)).collect();
    within("ms, the largest offset of a sample", 1.0, &worlds, |world, seed| {
        let Disturbed { sides, loss, reordered } = *world;
        let mut pair = interleaving(seed, sides, loss);
        let mut worst = 0.0f64;
        let mut heard = 0;
        while pair.world.time < 6000.0 {
            let time = pair.world.time;
            if reordered && (time as u64).is_multiple_of(96) {
                // Some packets are later than the ones behind them.
                let slow = if (time as u64).is_multiple_of(192) { 20.0 } else { 100e-6 };
                pair.world.connect(A, B, Link::even(slow, Queue::Exponential(10e-6), Dice::new(seed, 300)));
            }
            pair.run(time + 16.0);
            if time > 1500.0 {
                heard += pair.partner(1).reach().register() & 1;
                // The newest sample, whose way was a short one.
                let best = pair.partner(1).filter().best();
                worst =
                    best.filter(|b| b.delay.get() < 1.0).map_or(worst, |b| worst.max(b.offset.get().abs()));
            }
        }
        assert!(heard > 20, "{heard} samples");
        worst * 1e3
    });
}

#[test]
fn a_passive_partner_of_one_that_gets_the_time_late_is_not_starved() {
    within("polls of 16 s after the first 200 s", 5.0, &[("minpoll 4 maxpoll 6", ())], |(), seed| {
        let (mut a, mut b) = configured_and_passive();
        let poll = PollExponent::new(4);
        a.config.servers[0].maxpoll = PollExponent::new(6);
        let own = Server { iburst: true, minpoll: poll, maxpoll: poll, ..line(Kind::Server, &server(1)) };
        a.config.servers.push(own);
        b.config.servers.clear();
        let mut pair = Pair::new(seed, a, b);
        // Too far from the time to be used, and then not.
        pair.world.servers[0].root_dispersion = 8.0;
        pair.run(200.0);
        assert_eq!((pair.stratum(0), pair.stratum(1)), (0, 0), "{:?}", pair.texts(0));
        pair.world.servers[0].root_dispersion = 0.0;
        while pair.stratum(1) != 3 && pair.world.time < 1000.0 {
            pair.run(pair.world.time + 1.0);
        }
        (pair.world.time - 200.0) / 16.0
    });
}
