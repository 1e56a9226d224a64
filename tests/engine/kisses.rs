//! Kiss-o'-death packets: how a client slows down, and what a server's responses say of its limits.

use crate::bench::{Bench, from, request, server, setup};
use rsntpd::config::model::{AccessFlags, Config, Family, Origin, Restrict, RestrictTarget, Server};
use rsntpd::engine::contract::Setup;
use rsntpd::engine::report::event::{Event, Kiss};
use rsntpd::units::{PollExponent, RefId};
use rsntpd::wire::{Header, Mode};

fn polled(minpoll: u8, maxpoll: u8) -> Server {
    Server { minpoll: PollExponent::new(minpoll), maxpoll: PollExponent::new(maxpoll), ..server("192.0.2.1") }
}

/// A server with `restrict default limited [kod]` and `discard average`, as a setup.
fn limiting(average: u8, kod: bool) -> Setup {
    let flags = if kod { AccessFlags::LIMITED.union(AccessFlags::KOD) } else { AccessFlags::LIMITED };
    let target = RestrictTarget::Default(Family::Any);
    let mut config = Config { servers: vec![crate::bench::local_clock()], ..Config::default() };
    config.restrict = vec![Restrict { target, flags, ntpport: false, origin: Origin::default() }];
    config.discard.average = average;
    Setup { config, ..Setup::default() }
}

/// Runs a client against a server of ours for `seconds`; requests sent and times of them.
fn against_a_limit(client: Server, average: u8, kod: bool, seconds: f64) -> (Vec<f64>, Bench) {
    let mut here = Bench::new(setup(vec![client]));
    let mut there = Bench::new(limiting(average, kod));
    there.advance(0.1);
    let mut times = Vec::new();
    loop {
        for tx in std::mem::take(&mut here.sent) {
            times.push(here.time);
            while there.advance(here.time) {}
            if let Some(reply) = there.ask(&tx.data, from("192.0.2.77:123")) {
                here.deliver(&reply, tx.to);
            }
        }
        if !here.advance(seconds) {
            return (times, here);
        }
    }
}

#[test]
fn e3_f6_a_client_backs_off_below_the_servers_limit_and_stays_there() {
    for (minpoll, maxpoll, burst) in [(3, 3, false), (3, 10, false), (4, 5, true), (3, 3, true)] {
        let client = Server { burst, ..polled(minpoll, maxpoll) };
        let (times, mut here) = against_a_limit(client, 6, true, 20_000.0);
        assert!(times.len() <= 400, "{} requests", times.len());
        let late: Vec<f64> = times.iter().copied().filter(|t| *t > 1_000.0).collect();
        assert!(late.windows(2).all(|pair| pair[1] - pair[0] > 63.99), "{late:?}");
        assert!(here.happened(|e| matches!(e, Event::KissObeyed(_, Kiss::Rate, _))) <= 2);
        assert_ne!(here.variable(Some(0), "reach"), "0x0");
        assert_eq!(here.variable(None, "stratum"), "12", "of the local clock at stratum 10");
    }
}

/// Answers every request for `seconds` with what `answer` makes of it; the times of the requests.
fn kissed(bench: &mut Bench, seconds: f64, kiss: impl Fn(&Bench, &Header) -> Header) -> Vec<f64> {
    let until = bench.time + seconds;
    let mut times = Vec::new();
    loop {
        for tx in std::mem::take(&mut bench.sent) {
            times.push(bench.time);
            let reply = kiss(bench, &Header::parse(&tx.data).unwrap());
            bench.deliver(&reply.to_bytes(), tx.to);
        }
        if !bench.advance(until) {
            return times;
        }
    }
}

fn rate(bench: &Bench, request: &Header, poll: i8) -> Header {
    Header { reference_id: RefId::from_bytes(*b"RATE"), poll, ..bench.reply(request, 0) }
}

#[test]
fn e3_f6_nothing_but_kisses_slows_a_client_down_to_1024_s_with_a_line_a_change() {
    // The server's poll field: the request's, nonsense, and more than anybody should wait.
    for poll in [3i8, 0, -1, 17, 127, -128] {
        let mut bench = Bench::new(setup(vec![polled(3, 3)]));
        let times = kissed(&mut bench, 40_000.0, |b, r| rate(b, r, poll));
        assert!((15..60).contains(&times.len()), "{poll}: {}", times.len());
        let lines = bench.happened(|e| matches!(e, Event::KissObeyed(_, Kiss::Rate, _)));
        assert!(lines <= 8, "{poll}: {lines} lines");
    }
    // `maxpoll` of the line may be longer than that.
    let mut bench = Bench::new(setup(vec![polled(12, 13)]));
    kissed(&mut bench, 100_000.0, |b, r| rate(b, r, 3));
    assert_eq!(bench.variable(Some(0), "hpoll"), "13");
}

#[test]
fn f6_a_kiss_in_a_burst_ends_the_burst_and_what_the_poll_field_says_is_kept() {
    let mut bench = Bench::new(setup(vec![polled(6, 10)]));
    let times = kissed(&mut bench, 10_000.0, |b, r| if b.time < 5.0 { rate(b, r, 8) } else { b.reply(r, 1) });
    assert!(times.len() > 20, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] > 255.99), "{times:?}");
    assert_eq!(bench.variable(None, "stratum"), "2");
}

#[test]
fn f6_kisses_in_any_order_are_each_obeyed() {
    let codes: [&[u8; 4]; 5] = [b"RATE", b"DENY", b"RSTR", b"INIT", b"RATE"];
    for first in 0..codes.len() {
        let mut bench = Bench::new(setup(vec![polled(3, 3)]));
        let count = std::cell::Cell::new(0);
        let times = kissed(&mut bench, 20_000.0, |b, r| {
            let code = codes[(first + count.get()) % codes.len()];
            count.set(count.get() + 1);
            Header { reference_id: RefId::from_bytes(*code), ..rate(b, r, 3) }
        });
        // DENY or RSTR comes at the latest as the third; nothing is sent after it.
        assert!(times.len() <= 4, "{first}: {times:?}");
        assert_eq!(
            bench.happened(|e| matches!(e, Event::KissObeyed(_, Kiss::Deny | Kiss::Restricted, _))),
            1
        );
        assert_eq!(bench.variable(Some(0), "reach"), "0x0");
    }
}

#[test]
fn e12_f6_responses_carry_the_larger_of_the_clients_poll_and_discard_average() {
    for (average, poll, expected) in
        [(3, 3, 3), (3, 10, 10), (6, 3, 6), (6, 6, 6), (6, 0, 6), (10, 6, 10), (3, -6, 3)]
    {
        for kod in [true, false] {
            let mut bench = Bench::new(limiting(average, kod));
            bench.advance(0.1);
            let mut asks = request(4, Mode::Client);
            asks.poll = poll;
            let mut fields = Vec::new();
            // The first is answered, and a flood gets a kiss where there are any.
            for _ in 0..20 {
                fields.extend(
                    bench.ask(&asks.to_bytes(), from("192.0.2.1:123")).map(|reply| (reply[1], reply[2])),
                );
            }
            assert_eq!(fields.len(), 1 + usize::from(kod));
            assert_eq!(fields.iter().filter(|(stratum, _)| *stratum == 0).count(), usize::from(kod));
            assert!(fields.iter().all(|(_, poll)| *poll == expected), "{fields:?}");
        }
    }
}

#[test]
fn e12_the_bucket_of_limited_is_ntpds() {
    // What ntpd's bucket lets pass of requests that are `spacing` seconds apart, by hand: each that passes adds
    // 2^average - 2, each second takes 1, and there is room for 8 × 2^average.
    for (average, spacing) in [(6u8, 8.0), (6, 32.0), (6, 64.0), (3, 2.0), (3, 8.0), (4, 8.0)] {
        let (head, limit) = (1i64 << average, 8i64 << average);
        let (mut leak, mut responses) = (0i64, 0);
        let mut bench = Bench::new(limiting(average, false));
        bench.advance(0.1);
        for count in 0..1000 {
            bench.time = 1.0 + spacing * f64::from(count);
            leak = (leak - if count > 0 { spacing as i64 } else { 0 }).max(0);
            let passes = count == 0 || leak + head < limit;
            if passes && count > 0 {
                leak += head - 2;
            } else if !passes && leak < limit {
                leak = limit + head;
            }
            let reply = bench.ask(&request(4, Mode::Client).to_bytes(), from("192.0.2.1:123"));
            assert_eq!(reply.is_some(), passes, "average {average}, {spacing} s, request {count}");
            responses += u32::from(passes);
        }
        assert_eq!(responses == 1000, spacing >= head as f64, "average {average}, {spacing} s: {responses}");
        assert!((average, spacing as u8) != (6, 8) || responses == 10, "{responses}");
    }
}
