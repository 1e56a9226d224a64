//! A client's requests and what may answer them.

use crate::table::{Row, tried};
use rsntpd::units::{Leap, NtpShort, NtpTimestamp, RefId, Seconds};
use rsntpd::wire::{Header, Mode};
use sim::bench::{Bench, from, server, setup};
use sim::desk::{Answer, ask};
use std::net::SocketAddr;

pub const ROWS: &[Row] = &[
    Row {
        holes: "2015-8138, 2016-7431",
        rule: "an origin of zero is no match, and an answer counts once",
        tried: tried![
            cve_2015_8138_2016_7431_a_zero_origin_is_no_match,
            cve_2016_7431_an_answer_counts_once,
            cve_2016_7431_only_the_server_itself_may_answer,
        ],
    },
    Row {
        holes: "2020-13817",
        rule: "transmit timestamps of requests are random (not in modes 1 and 2, whose partner computes with them)",
        tried: tried![cve_2020_13817_transmit_times_are_random],
    },
    Row {
        holes: "2015-8139",
        rule: "no query shows the origin that an answer needs",
        tried: tried![cve_2015_8139_no_query_shows_the_origin],
    },
    Row {
        holes: "2015-7979, 2020-11868",
        rule: "what is not authentic or has another origin changes nothing of an association but counters and flash",
        tried: tried![cve_2015_7979_2020_11868_forged_packets_change_nothing],
    },
    Row {
        holes: "2015-5219, 2016-7433, 2016-2518",
        rule: "every field of a header is in its range, or the packet is not used; no arithmetic fails",
        tried: tried![
            cve_2015_5219_2016_7433_absurd_headers_make_no_sample,
            cve_2016_2518_any_header_keeps_numbers_numbers,
        ],
    },
];

/// An engine that is synchronized, with one request open; the request.
pub fn with_open_request() -> (Bench, Header, SocketAddr) {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(300.0);
    let (open, to) = next_request(&mut bench);
    (bench, open, to)
}

/// The next request, and where it goes.
pub fn next_request(bench: &mut Bench) -> (Header, SocketAddr) {
    bench.sent.clear();
    while bench.sent.is_empty() {
        bench.advance(bench.time + 3000.0);
    }
    let tx = bench.sent.remove(0);
    (Header::parse(&tx.data).unwrap(), tx.to)
}

pub fn processed(bench: &mut Bench) -> u64 {
    bench.variable(None, "ss_processed").parse().unwrap()
}

/// What mode 6 answers, all of it.
fn asked(bench: &mut Bench, opcode: u8, association: u16, names: &str) -> String {
    let own = std::mem::take(&mut bench.sent);
    bench.deliver(&ask(opcode, association, names), from("127.0.0.1:40000"));
    let answers: Vec<_> = std::mem::replace(&mut bench.sent, own).into_iter().map(|tx| tx.data).collect();
    Answer::join(&answers).unwrap().text()
}

fn cve_2015_8138_2016_7431_a_zero_origin_is_no_match() {
    let (mut bench, open, to) = with_open_request();
    let reply = bench.reply(&open, 1);
    let (reach, before) = (bench.variable(Some(0), "reach"), processed(&mut bench));
    bench.deliver(&Header { origin: NtpTimestamp::ZERO, ..reply }.to_bytes(), to);
    assert_eq!((bench.variable(Some(0), "reach"), processed(&mut bench)), (reach, before));
    bench.deliver(&reply.to_bytes(), to);
    assert_eq!(processed(&mut bench), before + 1, "the true answer still counts");
    // With no request open, nothing is a match.
    bench.deliver(&Header { origin: NtpTimestamp::ZERO, transmit: bench.now().wall, ..reply }.to_bytes(), to);
    assert_eq!(processed(&mut bench), before + 1);
}

fn cve_2016_7431_an_answer_counts_once() {
    let (mut bench, open, to) = with_open_request();
    let reply = bench.reply(&open, 1);
    bench.deliver(&reply.to_bytes(), to);
    let before = processed(&mut bench);
    bench.deliver(&reply.to_bytes(), to);
    assert_eq!(bench.variable(Some(0), "flash"), "0x1");
    // The same origin, and a timestamp that makes it no duplicate.
    bench.deliver(&Header { transmit: reply.transmit.offset(Seconds::new(0.1)), ..reply }.to_bytes(), to);
    assert_eq!(processed(&mut bench), before);
}

fn cve_2016_7431_only_the_server_itself_may_answer() {
    let (mut bench, open, to) = with_open_request();
    let reply = bench.reply(&open, 1).to_bytes();
    let before = processed(&mut bench);
    for other in ["192.0.2.2:123", "192.0.2.1:124", "192.0.2.1:50123"] {
        bench.deliver(&reply, from(other));
    }
    assert_eq!(processed(&mut bench), before);
    bench.deliver(&reply, to);
    assert_eq!(processed(&mut bench), before + 1, "the true answer still counts");
}

fn cve_2020_13817_transmit_times_are_random() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    let mut cookies = Vec::new();
    while cookies.len() < 8 {
        let (request, _) = next_request(&mut bench);
        cookies.push(request.transmit);
    }
    for (i, a) in cookies.iter().enumerate() {
        let off = (*a - bench.truth()).to_seconds().get().abs();
        assert!(off > 3600.0, "shows our clock: {off}");
        assert!(cookies[..i].iter().all(|b| b != a));
    }
}

fn cve_2015_8139_no_query_shows_the_origin() {
    let (mut bench, open, to) = with_open_request();
    let shown = |bench: &mut Bench| {
        let pairs = bench.control(1, 0, "");
        let association = u16::from_be_bytes([pairs[0], pairs[1]]);
        let named = "org,rec,reftime,filtdelay,srcadr";
        let texts = [(2, 0, ""), (2, association, ""), (2, association, named), (4, association, "")];
        texts.map(|(opcode, of, names)| asked(bench, opcode, of, names)).concat()
    };
    let hex = |stamp: NtpTimestamp| stamp.to_string().trim_start_matches("0x").to_owned();
    let text = shown(&mut bench);
    assert!(text.contains("org=") && text.contains("rec="), "{text}");
    let secret = hex(open.transmit);
    assert_eq!(secret.len(), 17, "as mode 6 writes timestamps");
    assert!(!text.contains(&secret), "{text}");
    let (seconds, fraction) = secret.split_once('.').unwrap();
    assert!(!text.contains(seconds) && !text.contains(fraction), "{text}");
    // What is no secret is shown.
    let reply = bench.reply(&open, 1);
    bench.deliver(&reply.to_bytes(), to);
    assert!(shown(&mut bench).contains(&hex(reply.reference)));
}

/// All that mode 6 shows of the association but counters, flash, and what goes on with time.
fn state(bench: &mut Bench) -> Vec<String> {
    let moving = ["unreach", "flash", "badauth", "bogusorg", "oldpkt", "seldisp", "selbroken", "candidate"];
    let pairs = bench.control(1, 0, "");
    let text = asked(bench, 2, u16::from_be_bytes([pairs[0], pairs[1]]), "");
    let items = text.split(',').map(|item| item.trim().to_owned());
    items.filter(|item| !moving.iter().any(|name| item.starts_with(&format!("{name}=")))).collect()
}

fn cve_2015_7979_2020_11868_forged_packets_change_nothing() {
    let (mut bench, open, to) = with_open_request();
    let before = state(&mut bench);
    assert!(before.len() > 20, "{before:?}");
    let (lines, associations) = (bench.events.len(), bench.engine.associations().count());
    let reply = bench.reply(&open, 1);
    let modes =
        [Mode::Server, Mode::SymmetricActive, Mode::SymmetricPassive, Mode::Broadcast, Mode::Reserved];
    for n in 0..1000u64 {
        let forged = Header {
            mode: modes[(n % 5) as usize],
            origin: NtpTimestamp::from_bits(
                [0, 1, open.transmit.to_bits() ^ 1, n << 32][(n / 5 % 4) as usize],
            ),
            stratum: (n % 17) as u8,
            leap: if n % 3 == 0 { Leap::Unsynchronised } else { Leap::None },
            reference_id: RefId::from_text([b"DENY", b"RATE", b"RSTR", b"STEP"][(n % 4) as usize]),
            poll: 17,
            transmit: if n % 2 == 0 { NtpTimestamp::ZERO } else { bench.truth() },
            ..reply
        };
        let mut data = forged.to_bytes().to_vec();
        match n % 4 {
            1 => data.extend([0; 4]),
            2 => data.extend([0, 0, 0, 7].into_iter().chain([0x5a; 20])),
            3 => data.truncate(47),
            _ => {}
        }
        bench.deliver(&data, to);
    }
    assert_eq!(state(&mut bench), before);
    let after = (bench.events.len(), bench.engine.associations().count());
    assert_eq!(after, (lines, associations), "not a line in the log: {:?}", &bench.events[lines..]);
    bench.deliver(&reply.to_bytes(), to);
    assert_ne!(state(&mut bench), before, "the true answer still counts");
}

fn cve_2015_5219_2016_7433_absurd_headers_make_no_sample() {
    let absurd: [fn(&mut Header); 7] = [
        |h| h.root_delay = NtpShort::from_bits(u32::MAX >> 1),
        |h| h.root_dispersion = NtpShort::from_bits(u32::MAX),
        |h| h.stratum = 16,
        |h| h.stratum = 255,
        |h| h.leap = Leap::Unsynchronised,
        |h| h.receive = NtpTimestamp::ZERO,
        |h| h.transmit = h.receive.offset(Seconds::new(-5.0)),
    ];
    for (index, spoil) in absurd.into_iter().enumerate() {
        let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
        let (open, to) = next_request(&mut bench);
        let good = bench.reply(&open, 1);
        let mut bad = good;
        spoil(&mut bad);
        bench.deliver(&bad.to_bytes(), to);
        assert_eq!(bench.variable(Some(0), "reach"), "0x0", "{index}: {bad:?}");
        let (open, to) = next_request(&mut bench);
        let good = bench.reply(&open, 1);
        bench.deliver(&good.to_bytes(), to);
        assert_eq!(bench.variable(Some(0), "reach").len(), 3, "a good one counts");
        assert_ne!(bench.variable(Some(0), "reach"), "0x0", "a good one counts");
    }
}

fn cve_2016_2518_any_header_keeps_numbers_numbers() {
    let mut setup = setup(vec![server("192.0.2.1")]);
    setup.config.tinker.panic = Seconds::ZERO;
    let mut bench = Bench::new(setup);
    bench.run_served(300.0);
    let edges = [i8::MIN, -127, -33, -1, 0, 1, 17, 63, 64, i8::MAX];
    let delays = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    let stamps = [0.0, 1e-9, 3e4, -3e4, 2e9, -2e9];
    let mut taken = 0;
    for n in 0..600usize {
        let (open, to) = next_request(&mut bench);
        let before = processed(&mut bench);
        let good = bench.reply(&open, 1);
        let odd = Header {
            poll: edges[n % 10],
            precision: edges[n / 10 % 10],
            root_delay: NtpShort::from_bits(delays[n % 5]),
            root_dispersion: NtpShort::from_bits(delays[n / 5 % 5]),
            receive: good.receive.offset(Seconds::new(stamps[n / 3 % 6])),
            transmit: good.transmit.offset(Seconds::new(stamps[n / 7 % 6])),
            ..good
        };
        bench.deliver(&odd.to_bytes(), to);
        taken += processed(&mut bench) - before;
        let hpoll: u8 = bench.variable(Some(0), "hpoll").parse().unwrap();
        assert!((6..=10).contains(&hpoll), "{hpoll} after {odd:?}");
        for name in ["offset", "sys_jitter", "rootdisp", "rootdelay", "frequency", "clk_wander"] {
            let value = bench.variable(None, name);
            let number: f64 = value.parse().unwrap_or_else(|_| panic!("{name}={value}"));
            assert!(number.is_finite(), "{name}={value} after {odd:?}");
        }
    }
    assert!(taken > 5, "some were good enough to be used: {taken}");
}
