//! Manycast: beacons look for servers in a group, servers answer them, and who answers without right becomes no source.

use crate::bench::{Bench, from, ip, local_clock, request, setup};
use rsntpd::config::model::{
    AccessFlags, Config, Digest, Family, Key, Kind, Origin, Restrict, RestrictTarget, Server, Target,
};
use rsntpd::engine::contract::{Input, Rx, Setup, SocketId};
use rsntpd::engine::report::event::Event;
use rsntpd::units::{KeyId, Leap, NtpTimestamp, PollExponent, RefId, Stamp};
use rsntpd::wire::{Header, Mode};
use sim::chance::Dice;
use sim::clock::Clock;
use sim::limits::within;
use sim::link::{Link, Queue};
use sim::scenario::{CLIENT, EPOCH};
use sim::world::World;

const GROUP: &str = "239.1.1.1";

fn key(id: u32) -> Key {
    Key::new(KeyId(id), Digest::Sha1, format!("secret {id}").into_bytes())
}

fn keyed(mut setup: Setup) -> Setup {
    setup.keys = vec![key(7), key(8)];
    setup.config.auth.trusted = vec![KeyId(7), KeyId(8)];
    setup
}

fn line(with_key: Option<u32>) -> Server {
    let line = Server::new(Kind::ManycastClient, Target::Address(ip(GROUP)));
    Server { iburst: true, key: with_key.map(KeyId), maxpoll: PollExponent::new(6), ..line }
}

/// A client with this key, which wants three servers.
fn client(with_key: Option<u32>) -> Setup {
    let config = Config { servers: vec![line(with_key)], ttl: vec![1, 2, 4], ..Config::default() };
    keyed(Setup { config, ..Setup::default() })
}

fn serving() -> Setup {
    let mut setup = keyed(setup(vec![local_clock()]));
    setup.config.servers[0].fudge.stratum = Some(rsntpd::units::Stratum::new(3));
    setup.config.manycast = vec![ip(GROUP)];
    setup
}

/// A request that came to an address of many hosts, and whether it was answered.
fn to_group(bench: &mut Bench, data: &[u8], to: &str) -> Option<(Header, Vec<u8>)> {
    bench.sent.clear();
    let received = bench.now().wall;
    let (from, socket) = (from("192.0.2.50:123"), SocketId(9));
    bench.input(Input::Datagram(Rx { data, from, to: ip(to), socket, received: Stamp::kernel(received) }));
    let tx = bench.sent.iter().find(|tx| tx.to == from)?;
    assert_eq!((tx.socket, tx.from), (None, None), "from an address of ours, not the group's");
    Some((Header::parse(&tx.data).unwrap(), tx.data.clone()))
}

fn beacon(leap: Leap, stratum: u8, refid: RefId) -> Header {
    Header { leap, stratum, reference_id: refid, ..request(4, Mode::Client) }
}

fn signed(header: &Header, with_key: u32, secret: u32) -> Vec<u8> {
    use sha1::Digest as _;
    let data = header.to_bytes();
    let digest = sha1::Sha1::digest([format!("secret {secret}").as_bytes(), &data[..]].concat());
    [&data[..], &with_key.to_be_bytes(), &digest[..]].concat()
}

#[test]
fn a_beacon_is_answered_where_our_time_is_of_use() {
    let mut bench = Bench::new(serving());
    bench.run(100.0, |_, _| None);
    assert_eq!(bench.variable(None, "stratum"), "4");
    let none = RefId::INIT;
    let own = RefId::from_bytes([10, 0, 0, 99]);
    for (asker, answered) in [
        (beacon(Leap::Unsynchronised, 0, none), true),
        (beacon(Leap::None, 5, none), true),
        (beacon(Leap::None, 4, none), false),
        (beacon(Leap::None, 3, none), false),
        (beacon(Leap::None, 5, own), false),
        // In orphan mode: its time is from nobody.
        (beacon(Leap::None, 5, RefId::LOOPBACK), true),
        (beacon(Leap::Unsynchronised, 5, none), true),
    ] {
        assert_eq!(to_group(&mut bench, &asker.to_bytes(), GROUP).is_some(), answered, "{asker:?}");
    }
    let (answer, _) = to_group(&mut bench, &beacon(Leap::Unsynchronised, 0, none).to_bytes(), GROUP).unwrap();
    assert_eq!((answer.mode, answer.stratum), (Mode::Server, 4));
    assert_eq!(answer.origin, beacon(Leap::Unsynchronised, 0, none).transmit);
    // `tos cohort` answers those of our own stratum, too.
    let mut setup = serving();
    setup.config.tos.cohort = true;
    bench.input(Input::Reload(Box::new(setup)));
    assert!(to_group(&mut bench, &beacon(Leap::None, 4, none).to_bytes(), GROUP).is_some());
    assert!(to_group(&mut bench, &beacon(Leap::None, 3, none).to_bytes(), GROUP).is_none());
}

#[test]
fn security_a_beacon_to_another_group_with_a_wrong_code_or_restricted_gets_no_answer() {
    let asks = beacon(Leap::Unsynchronised, 0, RefId::INIT);
    let mut unsynchronized = keyed(setup(vec![]));
    unsynchronized.config.manycast = vec![ip(GROUP)];
    let mut bench = Bench::new(unsynchronized);
    assert!(to_group(&mut bench, &asks.to_bytes(), GROUP).is_none(), "we have no time");
    let mut bench = Bench::new(serving());
    bench.run(100.0, |_, _| None);
    assert!(to_group(&mut bench, &asks.to_bytes(), "239.1.1.2").is_none(), "a group that is not ours");
    assert!(to_group(&mut bench, &signed(&asks, 7, 8), GROUP).is_none(), "no crypto-NAK");
    assert!(to_group(&mut bench, &[&asks.to_bytes()[..], &[0; 4]].concat(), GROUP).is_none());
    let (answer, data) = to_group(&mut bench, &signed(&asks, 7, 7), GROUP).unwrap();
    assert_eq!(data, signed(&answer, 7, 7), "signed by the same key");
    for flags in [AccessFlags::IGNORE, AccessFlags::NOSERVE, AccessFlags::NOTRUST] {
        let mut setup = serving();
        let (target, origin) = (RestrictTarget::Default(Family::Any), Origin::default());
        setup.config.restrict = vec![Restrict { target, flags, ntpport: false, origin }];
        bench.input(Input::Reload(Box::new(setup)));
        assert!(to_group(&mut bench, &asks.to_bytes(), GROUP).is_none(), "{flags:?}");
    }
    // A host of the group itself gives nothing away either.
    bench.input(Input::Reload(Box::new(setup(vec![local_clock()]))));
    assert!(to_group(&mut bench, &asks.to_bytes(), GROUP).is_none());
}

/// A client whose first beacon has left, with the beacon.
fn looking(setup: Setup) -> (Bench, Header) {
    let mut bench = Bench::new(setup);
    while bench.advance(1.0) {}
    let tx = bench.sent.iter().find(|tx| tx.to == from("239.1.1.1:123")).unwrap();
    assert_eq!(tx.hops, Some(1));
    let header = Header::parse(&tx.data).unwrap();
    (bench, header)
}

fn servers_after(bench: &mut Bench, data: &[u8], sender: &str) -> usize {
    bench.deliver(data, from(sender));
    bench.engine.associations().count() - 1
}

#[test]
fn security_an_answer_needs_our_random_number_and_the_key() {
    let (mut bench, asked) = looking(client(Some(7)));
    let right = bench.reply(&asked, 3);
    let lines = bench.events.len();
    for (data, sender) in [
        (right.to_bytes().to_vec(), "192.0.2.1:123"),
        ([&right.to_bytes()[..], &[0; 4]].concat(), "192.0.2.1:123"),
        (signed(&right, 7, 8), "192.0.2.1:123"),
        (signed(&right, 8, 8), "192.0.2.1:123"),
        (signed(&Header { origin: NtpTimestamp::ZERO, ..right }, 7, 7), "192.0.2.1:123"),
        (signed(&Header { origin: NtpTimestamp::from_bits(5), ..right }, 7, 7), "192.0.2.1:123"),
        (signed(&right, 7, 7), "192.0.2.1:4000"),
        (signed(&right, 7, 7), "10.0.0.99:123"),
        (signed(&Header { leap: Leap::Unsynchronised, ..right }, 7, 7), "192.0.2.1:123"),
        (signed(&Header { stratum: 16, ..right }, 7, 7), "192.0.2.1:123"),
    ] {
        assert_eq!(servers_after(&mut bench, &data, sender), 0, "{sender}");
    }
    assert_eq!(bench.events.len(), lines, "nothing in the log for a rejected packet");
    for (n, answers) in [(1, 1), (1, 1), (2, 2), (3, 3)] {
        assert_eq!(servers_after(&mut bench, &signed(&right, 7, 7), &format!("192.0.2.{n}:123")), answers);
    }
}

#[test]
fn security_without_a_key_strangers_are_taken_under_disable_auth_only_and_never_under_nopeer() {
    for (auth, flags, servers) in
        [(true, AccessFlags::NONE, 0), (false, AccessFlags::NONE, 1), (false, AccessFlags::NOPEER, 0)]
    {
        let mut setup = client(None);
        setup.config.enable.auth = auth;
        let (target, origin) = (RestrictTarget::Default(Family::Any), Origin::default());
        setup.config.restrict = vec![Restrict { target, flags, ntpport: false, origin }];
        let (mut bench, asked) = looking(setup);
        let answer = bench.reply(&asked, 3).to_bytes();
        assert_eq!(servers_after(&mut bench, &answer, "192.0.2.1:123"), servers, "{auth} {flags:?}");
    }
}

#[test]
fn security_a_flood_of_answers_makes_no_more_than_maxclock_servers() {
    let (mut bench, asked) = looking(client(Some(7)));
    let right = signed(&bench.reply(&asked, 3), 7, 7);
    for n in 0..10_000u32 {
        bench.deliver(&right, from(&format!("172.16.{}.{}:123", n / 250, n % 250 + 1)));
    }
    assert_eq!(bench.engine.associations().count(), 11, "tos maxclock 10, and the beacon");
}

#[test]
fn it_is_shown_as_ntpd_shows_it() {
    let (mut bench, asked) = looking(client(Some(7)));
    let right = signed(&bench.reply(&asked, 3), 7, 7);
    bench.deliver(&right, from("192.0.2.1:123"));
    let shown = |bench: &mut Bench, n: usize, name: &str| bench.variable(Some(n), name);
    for (name, value) in [
        ("srcadr", GROUP),
        ("srcport", "123"),
        ("refid", "ACST"),
        ("hmode", "3"),
        ("pmode", "0"),
        ("stratum", "16"),
    ] {
        assert_eq!(shown(&mut bench, 0, name), value, "{name}");
    }
    let ids: Vec<_> = bench.engine.associations().map(|a| a.id).collect();
    assert_eq!(bench.engine.source(ids[0]).unwrap().status(), 0xc811, "conf, authenable, bcast, mobilize");
    assert_eq!(
        bench.engine.source(ids[1]).unwrap().status() & 0xf800,
        0x7000,
        "authenticated, reachable, not configured"
    );
    // A reload without the line ends all of it.
    bench.input(Input::Reload(Box::new(keyed(setup(vec![])))));
    assert_eq!(bench.engine.associations().count(), 0);
}

/// What a simulated search came to.
struct Search {
    /// Seconds until as many servers as `tos minclock` had been found.
    found: f64,
    /// Polls of 64 s until one that had died was replaced.
    replaced: f64,
    /// Beacons in the hour before that.
    idle_beacons: usize,
}

/// Twenty servers: one at TTL 1, two at 2, the others at 4.
fn search(seed: u64) -> Search {
    let mut world = World::new(EPOCH);
    let address = |n: u64| format!("10.0.1.{n}");
    for n in 1..=20 {
        let link = Link::even(1e-3, Queue::Exponential(1e-5), Dice::new(seed, 100 + n));
        world.connect(CLIENT, &address(n), link);
        let needed = match n {
            1 => 1,
            2 | 3 => 2,
            _ => 4,
        };
        world.far.insert(ip(&address(n)), needed);
        let clock = Clock::new(EPOCH, 0.0, 0.0, 0.0, Dice::new(seed, 200 + n));
        world.add_host(&address(n), clock, serving(), None, &mut Dice::new(seed, 300 + n));
    }
    world.run(300.0);
    let clock = Clock::new(EPOCH, 0.01, 10e-6, 1e-9, Dice::new(seed, 1));
    let client_at = world.hosts.len();
    world.add_host(CLIENT, clock, client(Some(7)), None, &mut Dice::new(seed, 2));
    let began = world.time;
    let live = |world: &World| {
        let engine = &world.hosts[client_at].engine;
        engine.associations().filter(|a| engine.source(a.id).unwrap().reach().is_reachable()).count()
    };
    let mut found = f64::INFINITY;
    while world.time < began + 3600.0 {
        world.run(world.time.floor() + 1.0);
        if found.is_infinite() && live(&world) >= 3 {
            found = world.time - began;
        }
    }
    // In the order of the table, and then no more.
    let hops: Vec<u8> = world.to_groups.iter().map(|(_, _, hops)| *hops).collect();
    assert!(hops.is_sorted() && hops.starts_with(&[1, 2]), "{hops:?}");
    let before = world.to_groups.len();
    world.run(began + 7200.0);
    let idle_beacons = world.to_groups.len() - before;
    // One dies: no packet comes from it any more.
    let dead = world.hosts[client_at].engine.associations().nth(1).unwrap().address.unwrap();
    let mut broken = Link::even(1e-3, Queue::Exponential(1e-5), Dice::new(seed, 99));
    broken.loss = 1.0;
    world.connect(CLIENT, &dead.to_string(), broken);
    let (died, mut replaced) = (world.time, f64::INFINITY);
    while world.time < died + 4000.0 {
        world.run(world.time.floor() + 1.0);
        if replaced.is_infinite() && world.time > died + 600.0 && live(&world) >= 3 {
            replaced = (world.time - died) / 64.0;
        }
    }
    let count = world.hosts[client_at].engine.associations().count();
    assert!(count <= 20, "{count} associations");
    let events = &world.hosts[client_at].events;
    assert!(events.iter().any(|(_, e)| matches!(e, Event::Demobilized(peer) if peer.address.ip == dead)));
    Search { found, replaced, idle_beacons }
}

#[test]
fn modes_twenty_manycast_servers_at_three_distances() {
    within("s until minclock servers are found", 3.0 * 64.0, &[("manycast", ())], |(), seed| {
        search(seed).found
    });
    within("polls until a dead one is replaced", 30.0, &[("manycast", ())], |(), seed| search(seed).replaced);
    within("beacons in an hour with enough servers", 0.0, &[("manycast", ())], |(), seed| {
        search(seed).idle_beacons as f64
    });
}

#[test]
fn the_search_begins_anew_after_so_many_polls_as_tos_beacon_says() {
    for (first, wanted) in [(None, [1, 2, 4, 4, 1, 2, 4, 4, 4, 1]), (Some(1), [2, 4, 4, 4, 2, 4, 4, 4, 4, 2])]
    {
        let mut setup = client(Some(7));
        setup.config.tos.beacon = 4;
        let line = &mut setup.config.servers[0];
        (line.minpoll, line.ttl) = (PollExponent::new(3), first);
        let mut bench = Bench::new(setup);
        while bench.advance(120.0) {}
        let hops: Vec<u8> = bench.sent.iter().filter_map(|tx| tx.hops).collect();
        assert!(hops.starts_with(&wanted), "{hops:?}");
    }
}
