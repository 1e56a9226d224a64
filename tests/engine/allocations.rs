//! A request and its answer allocate nothing: counted, from the socket through the engine and back.
//! (musl's allocator is eight times slower than glibc's, and an allocation is a thing to be flooded.)
//! And a source that has been asked for long holds no more than it may.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

use rsntpd::config::model::{
    AccessFlags, Config, Digest, Family, Key, Kind, Origin, Restrict, RestrictTarget, Server, Target,
};
use rsntpd::engine::auth::Keys;
use rsntpd::engine::auth::aead::Cipher;
use rsntpd::engine::auth::cookie::{Age, Cookies, Opened};
use rsntpd::engine::contract::{Input, Machine, Now, Rx, Setup, SocketId};
use rsntpd::engine::{Engine, Served};
use rsntpd::sys::batch::{Calls, Inbox, Outbox};
use rsntpd::sys::clock;
use rsntpd::sys::socket::{Departure, Sharing, UdpSocket};
use rsntpd::units::{Aead, KeyId, MonoTime, NtpTimestamp, Stamp};
use rsntpd::wire::nts::Secret;
use rsntpd::wire::nts::fields::{Authenticator, Writer};
use rsntpd::wire::nts::master::{MasterKey, MasterKeys};
use sim::scenario::Scenario;
use sim::world::World;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const KEY: KeyId = KeyId(7);

fn keys() -> Vec<Key> {
    vec![Key::new(KEY, Digest::Sha1, b"secret".to_vec())]
}

fn engine() -> Engine {
    let servers = vec![Server::new(Kind::Server, Target::LocalClock { unit: 0 })];
    let mut config = Config { servers, ..Config::default() };
    config.auth.trusted = vec![KEY];
    config.mru.maxdepth = 1000;
    let flags = AccessFlags::LIMITED.union(AccessFlags::KOD);
    let target = RestrictTarget::Default(Family::Any);
    config.restrict = vec![Restrict { target, flags, ntpport: false, origin: Origin::default() }];
    let machine = Machine {
        can_steer: false,
        precision: -20,
        drift: None,
        system: String::new(),
        processor: String::new(),
        seed: [9; 32],
    };
    Engine::new(now(0), &machine, Setup { config, keys: keys(), ..Setup::default() })
}

fn now(millis: u64) -> Now {
    let wall =
        NtpTimestamp::from_unix(1_780_272_000 + (millis / 1000) as i64, (millis % 1000) as u32 * 1_000_000);
    Now { mono: MonoTime::from_nanos(millis * 1_000_000), wall }
}

/// The keys of a server of NTS, and a request to it.
fn nts_request() -> (MasterKeys, Vec<u8>) {
    let master = MasterKey::new(7, &[7; 32]).unwrap();
    let keys = MasterKeys { rotated: 0, current: master, old: Vec::new(), next: None };
    let aead = Aead::AesSivCmac256;
    let key = Secret::new(&[1; 32]).unwrap();
    let opened = Opened { aead, to_server: key.clone(), to_client: key, age: Age::Current };
    let mut cookie = [0; 104];
    Cookies::new(&keys).make(&opened, &[3; 16], &mut cookie).unwrap();
    let mut packet = vec![0; 232];
    packet[0] = 0x23;
    let mut writer = Writer::new(&mut packet, 48);
    writer.unique(&[5; 32]);
    writer.cookie(&cookie);
    let place = Authenticator { at: writer.finish().unwrap(), aead };
    let mut cipher = Cipher::new(aead, &[1; 32]).unwrap();
    cipher.seal(&mut packet, place, &[4; 16], 0, place.end(0)).unwrap();
    (keys, packet)
}

/// Allocations while `work` runs.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn allocations_are_counted() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1]))), 1);
}

#[test]
fn the_engine_answers_without_an_allocation() {
    let mut engine = engine();
    let mut keys = Keys::new(&keys(), &[KEY]);
    let plain = [0x23; 48].to_vec();
    let mut signed = plain.clone();
    keys.sign(KEY, &mut signed);
    let mut forged = signed.clone();
    forged[50] ^= 1;
    let junk = vec![0x23; 60];
    let (keys, nts) = nts_request();
    let mut forged_nts = nts.clone();
    forged_nts[200] ^= 1;
    engine.handle(now(0), Input::CookieKeys(Box::new(keys)));
    let mut answered = [0u32; 2];
    let mut reply = [0; Engine::REPLY_MAX];
    let count = allocations(|| {
        for step in 0..20_000u32 {
            let data = [&plain, &signed, &forged, &junk, &nts, &forged_nts][step as usize % 6];
            // Known and unknown clients, more than the table holds, some of them too often.
            let host = if step.is_multiple_of(3) { step % 7 } else { step };
            let rx = Rx {
                data,
                from: SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + host), 4000)),
                to: IpAddr::V4(Ipv4Addr::LOCALHOST),
                socket: SocketId(0),
                received: Stamp::clock(now(u64::from(step)).wall),
            };
            match engine.serve(now(u64::from(step)), &rx, &mut || now(u64::from(step)).wall, &mut reply) {
                Served::Reply(_) => answered[0] += 1,
                Served::Dropped => answered[1] += 1,
                Served::NotARequest => panic!("all of them are"),
            }
        }
    });
    assert!(answered[0] > 5000 && answered[1] > 5000, "{answered:?}");
    assert_eq!(count, 0);
}

#[test]
fn a_batch_is_received_answered_and_sent_without_an_allocation() {
    for calls in [Calls::Many, Calls::One] {
        let server = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), Sharing::Alone).unwrap();
        let address: SocketAddr =
            nix::sys::socket::getsockname::<nix::sys::socket::SockaddrIn>(server.raw_fd())
                .map(|own| SocketAddr::from(([127, 0, 0, 1], own.port())))
                .unwrap();
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (mut engine, mut inbox, mut outbox) = (engine(), Inbox::new(calls), Outbox::new(calls));
        let mut answers = 0;
        // A plain client's second request may be limited; so each comes a minute after the other.
        for round in 0..20u64 {
            client.send_to(&[0x23; 48], address).unwrap();
            client.send_to(&[0x16; 12], address).unwrap();
            let end = clock::mono() + rsntpd::units::Seconds::new(5.0);
            while clock::mono() < end {
                let mut taken = 0;
                let count = allocations(|| {
                    taken = inbox.fill(&server).unwrap();
                    for index in 0..taken {
                        let got = inbox.get(index).unwrap();
                        let to = got.to.unwrap();
                        let rx = Rx {
                            data: got.data,
                            from: got.from,
                            to,
                            socket: SocketId(0),
                            received: Stamp::kernel(got.received.unwrap()),
                        };
                        if let Served::Reply(reply) =
                            engine.answer(now(round * 60_000), &rx, outbox.draft().unwrap())
                        {
                            outbox.add(rx.from, Some(to), Departure::Unstamped);
                            outbox.seal(0, |octets| engine.seal(&reply, clock::wall(), octets));
                        }
                    }
                    answers += outbox.len();
                    assert_eq!(outbox.send(&server), 0);
                });
                assert_eq!(count, 0);
                if taken > 0 {
                    break;
                }
            }
        }
        assert_eq!(answers, 20);
    }
}

/// Octets that a world holds whose client has asked so many servers for half a day, some 600 times each.
fn held(servers: usize) -> i64 {
    let scenario = Scenario { servers, maxpoll: 6, ..Scenario::new("held", 0.010, 0.001, 1e-9) };
    let mut kept: Option<World> = None;
    let counted = allocation_counter::measure(|| {
        let mut world = scenario.world(1);
        world.run(40_000.0);
        // The simulator's own record is none of the engine's state.
        world.hosts[0].events = Vec::new();
        kept = Some(world);
    });
    assert!(kept.is_some_and(|world| world.hosts[0].sent > 600 * servers as u64));
    counted.bytes_current
}

#[test]
fn a_source_holds_no_more_than_64_kilobytes() {
    // What four sources more add to all that is allocated, with the simulator's links and servers, so
    // rather too much.
    let each = (held(8) - held(4)) / 4;
    println!("{each} octets for a source");
    assert!((1..=64 * 1024).contains(&each), "{each} octets");
}
