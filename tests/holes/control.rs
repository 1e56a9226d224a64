//! Modes 6 and 7.

use crate::table::{Row, Tried, tried};
use crate::world::{World, configure, control_key, exchange, socket};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rsntpd::config::model::{AccessFlags, Origin, Restrict, RestrictTarget};
use rsntpd::engine::control::{BURST, RATE};
use rsntpd::units::KeyId;
use rsntpd::wire::Mode;
use sim::bench::{from, ip, request};
use sim::desk::{Answer, CONTROL_KEY, Desk, ask, sign};
use std::net::{Ipv4Addr, SocketAddr};

pub const ROWS: &[Row] = &[
    Row {
        holes: "2013-5211",
        rule: "mode 7 is not answered, whatever it asks for",
        tried: tried![in a namespace: cve_2013_5211_no_request_of_mode_7_is_answered],
    },
    Row {
        holes: "2016-9310",
        rule: "who has shown nothing gets a bounded number of datagrams of mode 6 in all; the list of clients needs a nonce; noquery is silence",
        tried: tried![
            cve_2016_9310_forged_requests_get_a_bounded_answer,
            cve_2016_9310_the_list_of_clients_needs_a_nonce,
        ],
    },
    Row { holes: "2016-9311", rule: "there are no traps", tried: tried![cve_2016_9311_a_trap_is_an_error] },
    Row {
        holes: "2014-9295, 2017-6458, 2018-7182, 2019-8936, 2015-7848, 2015-7855, 2016-7434",
        rule: "mode 6 is read by types: any request gets a bounded answer or none, and the next one is answered",
        tried: tried![
            cve_2014_9295_2018_7182_any_request_is_survived,
            cve_2015_7855_2016_7434_2019_8936_requests_that_ended_ntpd,
        ],
    },
    Row {
        holes: "2015-5146, 2015-5194, 2015-5195, 2016-2516, 2016-2517, 2016-2519, 2017-6463, 2017-6464",
        rule: "configuration at run time goes through the parser of the file: what is wrong in it is reported, and the daemon serves on",
        tried: tried![in a namespace: cve_2015_5146_2017_6463_configuration_that_ended_ntpd],
    },
    Row {
        holes: "E32",
        rule: "a signed request of mode 6 is not replayed",
        tried: Tried::Not(
            "it can be: the protocol (RFC 9327) has nothing in a request that would show it; `restrict … nomodify` and `noquery` say \
             from where requests are taken",
        ),
    },
];

fn cve_2013_5211_no_request_of_mode_7_is_answered() {
    let world = World::new();
    let mut daemon = world.daemon("server 127.127.1.0\nrestrict default\n", &[]);
    let socket = socket();
    // So that there is something to list.
    let time = request(4, Mode::Client).to_bytes();
    assert!(exchange(&socket, &time).is_some());
    socket.set_read_timeout(Some(std::time::Duration::from_millis(1))).unwrap();
    for implementation in [0, 2, 3, 255] {
        for code in 0..=255 {
            let head = [0x17, 0, implementation, code, 0, 0, 0, 0];
            for length in [8, 48, 192] {
                let mut packet = head.to_vec();
                packet.resize(length, 0);
                assert_eq!(exchange(&socket, &packet), None, "{head:?}");
            }
        }
    }
    socket.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
    assert_eq!(exchange(&socket, &time).map(|answer| answer.len()), Some(48), "the time is");
    assert!(daemon.end().success());
}

fn cve_2016_9310_forged_requests_get_a_bounded_answer() {
    let mut desk = Desk::new(|config| {
        let target = RestrictTarget::Net { address: ip("192.0.2.0"), mask: ip("255.255.255.0") };
        let (flags, origin) = (AccessFlags::NOQUERY, Origin::default());
        config.restrict = vec![Restrict { target, flags, ntpport: false, origin }];
    });
    // Ten seconds of forged requests, a thousand a second, each from another address.
    let begin = desk.bench.time;
    let (mut datagrams, mut octets) = (0, 0);
    for i in 0..10_000u32 {
        desk.bench.time = begin + f64::from(i) * 1e-3;
        let client = SocketAddr::from((Ipv4Addr::from_bits(0xc633_6400 + i), 123));
        let sent = desk.raw(&ask(2, 0, ""), client);
        datagrams += sent.len();
        octets += sent.iter().map(Vec::len).sum::<usize>();
    }
    let most = BURST + RATE * 10.0 + 4.0;
    assert!(datagrams as f64 <= most && datagrams as f64 > most * 0.9, "{datagrams}");
    println!("10,000 forged requests of 12 octets: {datagrams} datagrams, {octets} octets");
    // Neither the machine itself nor who has a key waits for the forger to stop.
    assert_eq!(desk.raw(&ask(2, 0, ""), from("198.51.100.1:123")).len(), 0);
    assert!(!desk.raw(&ask(2, 0, ""), from("127.0.0.1:5000")).is_empty());
    assert!(!desk.raw(&sign(ask(2, 0, ""), KeyId(8)), from("198.51.100.1:123")).is_empty());
    desk.bench.time += 5.0;
    assert!(!desk.raw(&ask(2, 0, ""), from("198.51.100.1:123")).is_empty());
    assert!(desk.raw(&sign(ask(2, 0, ""), CONTROL_KEY), from("192.0.2.9:123")).is_empty(), "noquery");
}

fn cve_2016_9310_the_list_of_clients_needs_a_nonce() {
    let mut desk = Desk::new(|_| {});
    let client = from("198.51.100.77:5555");
    assert!(desk.bench.ask(&request(4, Mode::Client).to_bytes(), from("11.0.0.1:4000")).is_some());
    let nonce = Answer::join(&desk.raw(&ask(12, 0, ""), client)).unwrap().value("nonce");
    let with_nonce = ask(10, 0, &format!("nonce={nonce}, frags=32"));
    // None, an invented one, another address's, another port's.
    assert!(desk.raw(&ask(10, 0, "frags=32"), client).is_empty());
    let invented = ask(10, 0, &format!("nonce={}, frags=32", "0".repeat(nonce.len())));
    assert!(desk.raw(&invented, client).is_empty());
    assert!(desk.raw(&with_nonce, from("198.51.100.78:5555")).is_empty());
    assert!(desk.raw(&with_nonce, from("198.51.100.77:5556")).is_empty());
    let list = Answer::join(&desk.raw(&with_nonce, client)).unwrap();
    assert!(list.text().contains("11.0.0.1:4000"), "{}", list.text());
    desk.bench.time += 120.0;
    assert!(desk.raw(&with_nonce, client).is_empty(), "an old one");
}

fn cve_2016_9311_a_trap_is_an_error() {
    let mut desk = Desk::new(|_| {});
    for opcode in [6, 7, 31] {
        for signed in [None, Some(CONTROL_KEY)] {
            let packet = ask(opcode, 0, "");
            let packet = signed.map_or(packet.clone(), |key| sign(packet, key));
            assert_eq!(desk.error(&packet), Some(3), "an unknown operation");
        }
    }
    // Events happen, and nothing is sent to who has asked for traps.
    desk.bench.sent.clear();
    desk.bench.run_served(desk.bench.time + 2000.0);
    assert!(desk.bench.sent.iter().all(|tx| tx.to.ip() != ip("127.0.0.1")));
    assert_eq!(desk.error(&ask(2, 0, "stratum")), None);
}

/// Requests of all operations, with data that means something and with noise, signed and not, whole and not.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "stratum",
        "nonce=",
        "frags=32",
        "limit=1",
        "addr.0=1.2.3.4:5",
        "addr.0=",
        "last.0=0x1.2",
        "laddr=",
        "ifstats",
        "site=x",
        "site=",
        "server 192.0.2.5",
        "unpeer 1",
        "restrict default ignore",
        "%Y",
        "",
        "\u{ff}",
        ",,=,",
        "resall=0x1",
        "\"",
        "\\",
        "=",
        "x=\"y",
        "unconfig 0",
        "logconfig =",
        "mode 99999",
    ]);
    let data = prop_oneof![
        prop::collection::vec(words, 0..12).prop_map(|words| words.join(", ").into_bytes()),
        prop::collection::vec(any::<u8>(), 0..480),
        (1usize..480).prop_map(|length| vec![b'a'; length]),
    ];
    let key = prop::sample::select(vec![None, Some(KeyId(7)), Some(KeyId(8)), Some(KeyId(9))]);
    let change = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    let cut = prop::option::of(any::<prop::sample::Index>());
    (0u8..32, any::<u16>(), data, key, change, cut).prop_map(
        |(opcode, association, data, key, change, cut)| {
            let mut packet = ask(opcode, if association % 2 == 0 { 0 } else { association }, "");
            packet[10..12].copy_from_slice(&(data.len() as u16).to_be_bytes());
            packet.extend(data);
            packet.resize(packet.len().next_multiple_of(4), 0);
            if let Some(key) = key {
                packet = sign(packet, key);
            }
            if let Some((at, byte)) = change {
                let at = at.index(packet.len());
                packet[at] = byte;
            }
            if let Some(at) = cut {
                packet.truncate(at.index(packet.len()));
            }
            packet
        },
    )
}

fn cve_2014_9295_2018_7182_any_request_is_survived() {
    let packets = prop::collection::vec(requests(), 1..12);
    let config = Config { cases: 1024, failure_persistence: None, ..Config::default() };
    let held = TestRunner::new(config).run(&packets, |packets| {
        let mut desk = Desk::new(|_| {});
        for packet in &packets {
            let datagrams = desk.raw(packet, from("127.0.0.1:4001"));
            prop_assert!(datagrams.len() <= 128);
            // A change of the first byte may make it one of another mode.
            if packet.first().is_none_or(|first| first & 7 != 6) {
                continue;
            }
            if let Some(answer) = Answer::join(&datagrams) {
                prop_assert!(answer.bits == 0x80 || answer.bits == 0xc0);
            }
        }
        let whole = desk.raw(&ask(2, 0, "leap"), from("127.0.0.1:4001"));
        // One of the requests may have forbidden all.
        prop_assert!(!whole.is_empty() || packets.iter().any(|p| p.len() > 12 && p[1] & 0x1f == 8));
        Ok(())
    });
    held.unwrap();
}

fn cve_2015_7855_2016_7434_2019_8936_requests_that_ended_ntpd() {
    let mut desk = Desk::new(|_| {});
    let nonce = desk.asked(&ask(12, 0, "")).value("nonce");
    let long = |head: &str, n: usize| format!("{head}{}", "1".repeat(n));
    for data in [
        // decodenetnum() and an address that is too long; an option of the list without a value.
        format!("nonce={nonce}, frags=1, {}", long("laddr=", 380)),
        format!("nonce={nonce}, frags=1, {}", long("addr.0=", 380)),
        format!("nonce={nonce}, laddr=[]:Hail, frags=1"),
        format!("nonce={nonce}, frags=1, mincount, resall, maxlstint, laddr"),
        format!("nonce={nonce}, limit=65536"),
        format!("nonce={nonce}, frags=1, recent=99999999999999999999"),
        long("nonce=", 440),
    ] {
        let datagrams = desk.raw(&ask(10, 0, &data), from("127.0.0.1:4001"));
        let error = Answer::join(&datagrams).map(|answer| answer.error());
        assert!(error.is_none_or(|error| error.is_some() || data.contains("mincount")), "{data}");
    }
    for (opcode, data) in [
        (2, long("", 468)),
        (2, ",".repeat(468)),
        (2, format!("\"{}", "x".repeat(460))),
        (3, long("site=", 440)),
        (3, "=".repeat(300)),
        (3, "site".to_owned()),
        (5, long("stratum=", 440)),
        (9, long("", 468)),
        (9, "%".repeat(200)),
        (8, String::new()),
        (8, "\u{0}\u{0}server 192.0.2.5".to_owned()),
        (11, String::new()),
    ] {
        let whole = sign(ask(opcode, 0, &data), CONTROL_KEY);
        assert!(Answer::join(&desk.raw(&whole, from("127.0.0.1:4001"))).is_some(), "{opcode} {data}");
        // A count that goes past the end, and one that leaves the digest in the data.
        for count in [0u16, 1, 469, 4000, u16::MAX] {
            let mut wrong = whole.clone();
            wrong[10..12].copy_from_slice(&count.to_be_bytes());
            desk.raw(&wrong, from("127.0.0.1:4001"));
            desk.raw(&wrong[..whole.len() - 24], from("127.0.0.1:4001"));
        }
    }
    assert_eq!(desk.asked(&ask(2, 0, "leap")).error(), None);
}

fn cve_2015_5146_2017_6463_configuration_that_ended_ntpd() {
    let world = World::new();
    let mut daemon = world.daemon(&format!("server 127.127.1.0\n{}", control_key(&world)), &[]);
    let long = |head: &str| format!("{head}{}", "9".repeat(380));
    let texts = [
        ("a byte of zero", "server 192.0.2.5\u{0}server 192.0.2.6".to_owned()),
        ("logconfig without its word", "logconfig =all +sysall +".to_owned()),
        ("statistics that there are not", "statistics timingstats".to_owned()),
        ("unconfig twice", "unconfig 192.0.2.5\nunconfig 192.0.2.5".to_owned()),
        ("unpeer of what there is not", "unpeer 127.127.1.9\nunpeer 0\nunpeer 65535".to_owned()),
        ("a key number that is none", "controlkey 0\ntrustedkey 99999999999\nrequestkey -1".to_owned()),
        ("mode", "server 127.127.8.0 mode 999999999999999999".to_owned()),
        ("long words", long("server ")),
        ("long numbers", long("tinker step ")),
        ("a quote without end", format!("setvar x=\"{}", "y".repeat(380))),
        ("simulate", "simulate { server = 1 {".to_owned()),
        ("noise", "; { } ( ) ... = , \\ \" '".to_owned()),
        ("fudge of a server", "fudge 192.0.2.5 time1 nan time2 inf".to_owned()),
        ("ttl and minpoll", "peer 192.0.2.7 minpoll 99 maxpoll -5 ttl 99999".to_owned()),
    ];
    for (what, text) in texts {
        let reply = configure(8, &text);
        assert!(!reply.is_empty(), "{what}");
        assert!(daemon.serves(), "{what}: {}", world.read("log"));
    }
    assert!(configure(8, "server 192.0.2.9").starts_with("Config Succeeded"));
    // The control key still is what it was.
    let reply = configure(8, "setvar site = roof default");
    assert!(reply.starts_with("Config Succeeded"), "{reply}");
    assert!(daemon.end().success());
}
