//! Bursts of a `peer` line: towards a host that only answers, between two that begin together, and never from a passive side.

use crate::bench::{Bench, setup};
use rsntpd::config::model::{Kind, Server};
use rsntpd::engine::contract::{ExitReason, Setup};
use rsntpd::engine::report::event::Event;
use rsntpd::units::{KeyId, Leap, PollExponent, RefId};
use rsntpd::wire::{Header, Mode};
use sim::limits::within;
use sim::pair::{A, B, Pair, keyed, line, server};

/// A line whose partner is the second host.
fn peer(change: impl Fn(&mut Server)) -> Server {
    let mut peer = line(Kind::Peer, B);
    change(&mut peer);
    peer
}

/// When packets are sent until then to a partner that answers each in mode 2, as `reply` changes it, or not at all.
fn times(peer: Server, until: f64, reply: impl Fn(Header) -> Option<Header>) -> Vec<f64> {
    let mut bench = Bench::new(setup(vec![peer]));
    let mut times = Vec::new();
    while bench.time < until {
        for tx in std::mem::take(&mut bench.sent) {
            let request = Header::parse(&tx.data).unwrap();
            assert_eq!(request.mode, Mode::SymmetricActive);
            times.push(bench.time);
            let honest = Header { mode: Mode::SymmetricPassive, ..bench.reply(&request, 1) };
            if let Some(reply) = reply(honest) {
                bench.deliver(&reply.to_bytes(), tx.to);
            }
        }
        bench.advance(until);
    }
    times
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn iburst_sends_eight_packets_two_seconds_apart_while_the_partner_is_silent() {
    let silent = gaps(&times(peer(|line| line.iburst = true), 1500.0, |_| None));
    for burst in silent.chunks(8).take(10) {
        assert!(burst[..7].iter().all(|gap| (1.9..2.1).contains(gap)), "{silent:?}");
        assert!(burst[7] > 45.0, "{silent:?}");
    }
    assert!(silent[80..].iter().all(|gap| *gap > 60.0), "after ten polls it has no more bursts: {silent:?}");
    let plain = gaps(&times(peer(|_| {}), 1000.0, |_| None));
    assert!(plain.iter().all(|gap| *gap > 60.0), "{plain:?}");
}

#[test]
fn iburst_is_spread_out_once_the_partner_answers_and_comes_once() {
    let answered = gaps(&times(peer(|line| line.iburst = true), 600.0, Some));
    let begin: Vec<f64> = answered[..6].iter().map(|gap| gap.round()).collect();
    assert_eq!(begin, [2.0, 2.0, 2.0, 4.0, 8.0, 16.0], "{answered:?}");
    assert!(answered[7..].iter().all(|gap| *gap > 60.0), "{answered:?}");
}

#[test]
fn burst_sends_eight_packets_two_seconds_apart_at_each_poll_while_the_partner_answers() {
    let answered = gaps(&times(peer(|line| line.burst = true), 800.0, Some));
    assert!(answered[0] > 60.0, "nothing was heard at the first poll: {answered:?}");
    for burst in answered[1..].chunks_exact(8) {
        assert!(burst[..7].iter().all(|gap| (1.9..2.1).contains(gap)), "{answered:?}");
        assert!(burst[7] > 45.0, "{answered:?}");
    }
    let silent = gaps(&times(peer(|line| line.burst = true), 800.0, |_| None));
    assert!(silent.iter().all(|gap| *gap > 60.0), "{silent:?}");
}

#[test]
fn a_kiss_ends_the_burst() {
    let kiss = |honest: Header| {
        let reference_id = RefId::from_text(b"RATE");
        Some(Header { leap: Leap::Unsynchronised, stratum: 0, reference_id, ..honest })
    };
    let refused = gaps(&times(peer(|line| line.iburst = true), 400.0, kiss));
    assert!(refused.iter().all(|gap| *gap > 60.0), "{refused:?}");
}

/// When the second host is first synchronized; its partner has the time from `iburst` servers.
fn synchronized(pair: &mut Pair) -> f64 {
    while pair.stratum(1) == 0 && pair.world.time < 1000.0 {
        pair.run(pair.world.time + 1.0);
    }
    pair.world.time
}

/// The first host has three servers, the second its partner only.
fn both(partners: [bool; 2], iburst: bool) -> (Setup, Setup) {
    let (mut a, mut b) = (Setup::default(), Setup::default());
    a.config.servers = (1..=3).map(|n| Server { iburst: true, ..line(Kind::Server, &server(n)) }).collect();
    if partners[0] {
        a.config.servers.push(Server { iburst, ..line(Kind::Peer, B) });
    }
    if partners[1] {
        b.config.servers.push(Server { iburst, ..line(Kind::Peer, A) });
    }
    (a, b)
}

#[test]
fn with_iburst_a_partner_has_the_time_within_seconds() {
    let worlds = [("of a host that only answers", [false, true]), ("of one that has it, too", [true, true])];
    within("s until synchronized, both booted together", 25.0, &worlds, |partners, seed| {
        let (a, b) = both(*partners, true);
        let with = synchronized(&mut Pair::new(seed, a, b));
        let (a, b) = both(*partners, false);
        let without = synchronized(&mut Pair::new(seed, a, b));
        assert!(without > 2.0 * with, "{with} s with, {without} s without");
        with
    });
}

#[test]
fn a_passive_side_sends_no_bursts() {
    let sent = |iburst: bool| {
        let (mut a, mut b) = (keyed(), keyed());
        let with_key = Server { key: Some(KeyId(7)), iburst, burst: iburst, ..line(Kind::Peer, B) };
        a.config.servers =
            vec![Server { minpoll: PollExponent::new(4), maxpoll: PollExponent::new(4), ..with_key }];
        b.config.servers = vec![line(Kind::Server, &server(1))];
        let mut pair = Pair::new(1, a, b);
        pair.run(50.0);
        let (active, passive) = (pair.world.hosts[0].sent, pair.world.hosts[1].sent);
        pair.run(50.0 + 1600.0);
        (pair.world.hosts[0].sent - active, pair.world.hosts[1].sent - passive)
    };
    let (active, passive) = sent(true);
    // Its own server has one packet in 64 s at most, the partner one in 16 s.
    assert!(active > 400 && passive <= 100 + 25, "{active} and {passive} packets");
}

#[test]
fn with_q_the_clock_is_set_by_a_partner_whose_first_answers_are_lost() {
    let mut peer = setup(vec![line(Kind::Peer, B)]);
    peer.quit_after_set = true;
    let mut bench = Bench::new(peer);
    let mut lost = 4;
    while bench.time < 60.0 && !bench.events.iter().any(|e| matches!(e, Event::Exiting(_))) {
        for tx in std::mem::take(&mut bench.sent) {
            let request = Header::parse(&tx.data).unwrap();
            let reply = Header { mode: Mode::SymmetricPassive, ..bench.reply(&request, 1) };
            if lost == 0 {
                bench.deliver(&reply.to_bytes(), tx.to);
            }
            lost = u32::saturating_sub(lost, 1);
        }
        bench.advance(60.0);
    }
    let set = |e: &Event| matches!(e, Event::Exiting(ExitReason::ClockSet));
    assert_eq!(bench.happened(set), 1, "{:?}", bench.events);
}
