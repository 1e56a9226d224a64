//! Headers that are odd, and used all the same, or not: as ntpd 4.2.6p5 does.

use crate::bench::{Bench, server, setup};
use rsntpd::units::{Leap, NtpShort, Seconds};
use rsntpd::wire::Header;

/// A bench whose one server answers every request for 20 s with `change` made to an honest response.
fn answered(change: impl Fn(Header) -> Header) -> Bench {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    while bench.time < 20.0 {
        for tx in std::mem::take(&mut bench.sent) {
            let reply = change(bench.reply(&Header::parse(&tx.data).unwrap(), 1));
            bench.deliver(&reply.to_bytes(), tx.to);
        }
        bench.advance(20.0);
    }
    bench
}

/// A server whose transmit timestamp is `held` seconds after its receive timestamp.
fn with_held(held: f64, precision: i8) -> Bench {
    answered(|good| Header { transmit: good.receive.offset(Seconds::new(held)), precision, ..good })
}

#[test]
fn a1_a_transmit_stamp_earlier_by_less_than_the_precision_is_used() {
    // (seconds, server's precision); the bench's own precision is -20, about 1 µs.
    for (held, precision) in [
        (-1e-9, -25),
        (-233e-12, -32),
        (-1.9e-6, -25),
        (-1.9e-6, -128),
        (-0.9e-3, -10),
        (-15e-3, -6),
        (-0.9, 0),
    ] {
        let mut bench = with_held(held, precision);
        assert_eq!(bench.variable(Some(0), "flash"), "0x0", "{held} {precision}");
        assert_eq!(bench.variable(None, "stratum"), "2", "{held} {precision}");
        assert_eq!(bench.variable(Some(0), "seldisp"), "0", "{held} {precision}");
        assert!(!bench.variable(Some(0), "filtdelay").contains('-'), "{held} {precision}");
    }
}

#[test]
fn a1_a_transmit_stamp_earlier_by_more_is_a_bogus_header() {
    for (held, precision) in
        [(-2.1e-6, -25), (-1e-3, -20), (-1.1e-3, -10), (-1.1, 0), (-1.1, 127), (-5.0, -6)]
    {
        let mut bench = with_held(held, precision);
        assert_eq!(bench.variable(Some(0), "reach"), "0x0", "{held} {precision}");
        // TEST7, among those of a source that is not reachable.
        let flash = bench.variable(Some(0), "flash");
        let flash = u16::from_str_radix(flash.trim_start_matches("0x"), 16).unwrap();
        assert_eq!(flash & 0x7f, 0x40, "{held} {precision}");
        assert_eq!(bench.variable(None, "stratum"), "16", "{held} {precision}");
    }
}

#[test]
fn a1_random_bits_below_the_precision_cost_no_sample() {
    // As chronyd fills them: both stamps are true to 2^-18 s, and random below.
    let mut random = 12_345u64;
    let mut dice = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    let below = (1u64 << 14) - 1;
    let mut earlier = 0;
    while bench.time < 20_000.0 {
        for tx in std::mem::take(&mut bench.sent) {
            let good = bench.reply(&Header::parse(&tx.data).unwrap(), 1);
            let mut blur = |stamp: rsntpd::units::NtpTimestamp| {
                rsntpd::units::NtpTimestamp::from_bits(stamp.to_bits() & !below | dice() & below)
            };
            let reply =
                Header { receive: blur(good.receive), transmit: blur(good.transmit), precision: -18, ..good };
            earlier += u32::from(reply.transmit.to_bits() < reply.receive.to_bits());
            bench.deliver(&reply.to_bytes(), tx.to);
        }
        bench.advance(20_000.0);
    }
    assert!(earlier > 20, "{earlier}");
    assert_eq!(bench.variable(Some(0), "seldisp"), "0");
    assert_eq!(bench.variable(Some(0), "reach"), "0xff");
}

#[test]
fn a2_a_reference_time_in_the_future_is_no_fault() {
    for ahead in [1e-9, 1e-6, 0.5, 500.0, 1e9] {
        let mut bench =
            answered(|good| Header { reference: good.transmit.offset(Seconds::new(ahead)), ..good });
        assert_eq!(bench.variable(None, "stratum"), "2", "{ahead}");
        assert_eq!(bench.variable(Some(0), "flash"), "0x0", "{ahead}");
    }
}

#[test]
fn a2_a_negative_root_delay_is_used_and_makes_no_server_closer() {
    let delay = |bits: u32| answered(move |good| Header { root_delay: NtpShort::from_bits(bits), ..good });
    for (seconds, shown) in [(-0.015_f64, "-15.000"), (-1.5, "-1500.000"), (-100.0, "-100000.000")] {
        let mut bench = delay(((seconds * 65_536.0).round() as i32).cast_unsigned());
        assert_eq!(bench.variable(None, "stratum"), "2", "{seconds}");
        let shown_delay: f64 = bench.variable(Some(0), "rootdelay").parse().unwrap();
        assert!((shown_delay - shown.parse::<f64>().unwrap()).abs() < 0.02, "{shown_delay} {shown}");
        assert!(!bench.variable(None, "rootdelay").starts_with('-'));
        let close: f64 = bench.variable(None, "rootdisp").parse().unwrap();
        assert!(close > 0.0, "{close}");
    }
    // Too far in the other direction, as before.
    let mut bench = delay((40.0_f64 * 65_536.0) as u32);
    assert_eq!(bench.variable(None, "stratum"), "16");
}

#[test]
fn a3_responses_with_bad_values_are_processed_not_badly_formatted() {
    let bad: [fn(Header) -> Header; 5] = [
        |good| Header { transmit: good.receive.offset(Seconds::new(-1.0)), ..good },
        |good| Header { root_dispersion: NtpShort::from_seconds(Seconds::new(20.0)), ..good },
        |good| Header { leap: Leap::Unsynchronised, ..good },
        |good| Header { stratum: 16, ..good },
        |good| Header { stratum: 0, ..good },
    ];
    for change in bad {
        let mut bench = answered(change);
        assert_eq!(bench.variable(Some(0), "reach"), "0x0");
        assert_eq!(bench.variable(None, "ss_badformat"), "0");
        assert_eq!(bench.variable(None, "ss_declined"), "0");
        let received = bench.variable(Some(0), "received");
        assert_eq!(bench.variable(None, "ss_processed"), received);
        let why: [u32; 2] =
            ["seldisp", "selbroken"].map(|name| bench.variable(Some(0), name).parse().unwrap());
        assert_eq!(why.iter().sum::<u32>().to_string(), received, "the association counts why");
    }
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.deliver(&[0x24; 20], crate::bench::from("192.0.2.1:123"));
    assert_eq!(bench.variable(None, "ss_badformat"), "1");
}
