//! Symmetric modes, and associations that packets make.

use crate::exchange::{next_request, processed};
use crate::table::{Row, tried};
use rsntpd::config::model::Kind;
use rsntpd::engine::contract::Setup;
use rsntpd::engine::report::event::Event;
use rsntpd::units::NtpTimestamp;
use rsntpd::wire::{Header, Mode};
use sim::bench::{Bench, setup};
use sim::chance::Dice;
use sim::limits::{rms, within};
use sim::link::{Link, Queue};
use sim::pair::{A, B, Pair, configured_and_passive, every_16_s, forged, interleaving, lan, line, signed};

pub const ROWS: &[Row] = &[
    Row {
        holes: "2015-1799, 2016-4954",
        rule: "a packet that is not authentic changes no timestamp, and takes no sample of a partner's",
        tried: tried![cve_2015_1799_2016_4954_forged_packets_take_no_sample_and_no_memory],
    },
    Row {
        holes: "2018-7184",
        rule: "neither a forgery nor a lost packet keeps partners from each other for longer than two polls",
        tried: tried![cve_2018_7184_a_loss_or_a_forgery_is_over_after_two_polls],
    },
    Row {
        holes: "2016-1548, 2016-4956, 2018-7185",
        rule: "interleaved mode is entered only where `xleave` says so, and never makes a wrong sample",
        tried: tried![
            cve_2016_1548_2016_4956_interleaved_packets_make_no_wrong_sample,
            cve_2018_7185_forged_packets_do_not_reset_a_partner,
        ],
    },
    Row {
        holes: "2016-4953, 2016-4955",
        rule: "in mode 1 a wrong MAC or a crypto-NAK is not answered, and ends no passive association",
        tried: tried![cve_2016_4953_2016_4955_a_wrong_mac_in_mode_1_is_not_answered],
    },
    Row {
        holes: "2016-1549, 2018-7170",
        rule: "associations that packets make need a key: one a second, three a key, one an address",
        tried: tried![cve_2018_7170_the_holder_of_a_key_makes_three_associations],
    },
];

fn cve_2015_1799_2016_4954_forged_packets_take_no_sample_and_no_memory() {
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

fn cve_2018_7184_a_loss_or_a_forgery_is_over_after_two_polls() {
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

/// Which sides interleave, and what becomes of their packets.
#[derive(Clone, Copy)]
struct Disturbed {
    sides: [bool; 2],
    loss: f64,
    reordered: bool,
}

fn cve_2016_1548_2016_4956_interleaved_packets_make_no_wrong_sample() {
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

fn cve_2018_7170_the_holder_of_a_key_makes_three_associations() {
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
    // The first is that of the line of ntp.conf. The others end after a while: the most at any time counts.
    let alive =
        |at: &f64| made.iter().filter(|m| *m <= at).count() - ended.iter().filter(|e| *e <= at).count();
    assert_eq!(made.iter().map(alive).max(), Some(1 + 3), "{:?}", pair.texts(1));
    assert!(made[1..].windows(2).all(|pair| pair[1] - pair[0] >= 0.99), "one a second: {made:?}");
    assert_eq!(pair.stratum(1), 2);
    assert!(errors[100..].iter().all(|e| e.abs() < 1e-3), "they move no clock");
}

fn cve_2016_4953_2016_4955_a_wrong_mac_in_mode_1_is_not_answered() {
    let (_, b) = configured_and_passive();
    let mut bench = Bench::new(b);
    let answered = |bench: &mut Bench, data: &[u8], from: &str| {
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
    // Of a partner that has the key, an association is made, and it is answered.
    bench.deliver(&signed(2), "172.16.0.9:123".parse().unwrap());
    let made = bench.engine.associations().count();
    for data in [wrong, nak] {
        bench.deliver(&data, "172.16.0.9:123".parse().unwrap());
    }
    assert_eq!((made, bench.engine.associations().count()), (2, 2), "nor does either end it");
    bench.sent.clear();
    let until = bench.time + 20.0;
    while bench.advance(until) {}
    assert!(bench.sent.iter().any(|tx| tx.to == "172.16.0.9:123".parse().unwrap()));
}

/// Lets the partner answer every packet of ours, until then.
fn run_partner(bench: &mut Bench, until: f64) {
    loop {
        for tx in std::mem::take(&mut bench.sent) {
            let heard = Header::parse(&tx.data).unwrap();
            let reply = Header { mode: Mode::SymmetricPassive, ..bench.reply(&heard, 1) };
            bench.deliver(&reply.to_bytes(), tx.to);
        }
        if !bench.advance(until) {
            return;
        }
    }
}

fn cve_2018_7185_forged_packets_do_not_reset_a_partner() {
    let mut bench = Bench::new(setup(vec![line(Kind::Peer, "192.0.2.1")]));
    run_partner(&mut bench, 1000.0);
    let shown = |bench: &mut Bench| {
        [
            "reach",
            "stratum",
            "leap",
            "refid",
            "hpoll",
            "ppoll",
            "pmode",
            "offset",
            "delay",
            "rootdelay",
            "xleave",
        ]
        .map(|name| bench.variable(Some(0), name))
    };
    let before = shown(&mut bench);
    assert_eq!(before[0], "0xff", "{before:?}");
    let (open, to) = next_request(&mut bench);
    for n in 0..1000u64 {
        let forged = Header {
            mode: [Mode::SymmetricActive, Mode::SymmetricPassive][(n % 2) as usize],
            origin: NtpTimestamp::from_bits([0, n << 30][(n / 2 % 2) as usize]),
            poll: 17,
            stratum: 3,
            ..bench.reply(&open, 3)
        };
        bench.deliver(&forged.to_bytes(), to);
    }
    // Its own poll has shifted the register.
    assert_eq!(shown(&mut bench)[1..], before[1..]);
    let reply = Header { mode: Mode::SymmetricPassive, ..bench.reply(&open, 1) };
    let taken = processed(&mut bench);
    bench.deliver(&reply.to_bytes(), to);
    assert_eq!(processed(&mut bench), taken + 1, "the true answer still counts");
    run_partner(&mut bench, 2000.0);
    assert_eq!(shown(&mut bench)[0], "0xff");
}
