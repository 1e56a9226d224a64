//! Interleaved mode for clients that use it (RFC 9769): the answer tells when the one before it left.

use crate::bench::{Bench, from, ip, local_clock, request, setup};
use rsntpd::engine::Served;
use rsntpd::engine::contract::{Rx, SocketId};
use rsntpd::engine::{Engine, Reply};
use rsntpd::units::{NtpTimestamp, Seconds, Stamp};
use rsntpd::wire::{Header, Mode};

fn bench() -> Bench {
    let mut bench = Bench::new(setup(vec![local_clock()]));
    bench.advance(1.0);
    bench
}

/// Asks; the reply as it left `after` seconds after it was made.
fn ask(bench: &mut Bench, asked: &Header, client: &str, after: f64) -> (Header, Reply) {
    let now = bench.now();
    let data = asked.to_bytes();
    let rx = Rx {
        data: &data,
        from: from(client),
        to: ip("10.0.0.99"),
        socket: SocketId(1),
        received: Stamp::clock(now.wall),
    };
    let mut buffer = [0; Engine::REPLY_MAX];
    let Served::Reply(reply) = bench.engine.answer(now, &rx, &mut buffer) else { panic!("no answer") };
    bench.engine.seal(&reply, now.wall.offset(Seconds::new(after)), &mut buffer);
    (Header::parse(&buffer).unwrap(), reply)
}

/// The request after `answer`, of a client that received it a millisecond later.
fn following(answer: &Header) -> Header {
    Header {
        origin: answer.receive,
        receive: answer.transmit.offset(Seconds::new(0.001)),
        transmit: NtpTimestamp::from_bits(answer.receive.to_bits() ^ 0x5555_0000),
        ..request(4, Mode::Client)
    }
}

#[test]
fn the_second_answer_tells_when_the_first_left() {
    let mut bench = bench();
    let (first, reply) = ask(&mut bench, &request(4, Mode::Client), "10.0.0.1:4000", 5e-6);
    assert!(!reply.interleaved);
    // The kernel says that it left later than foretold.
    let truly = first.transmit.offset(Seconds::new(3e-6));
    bench.engine.left(&reply, truly);
    bench.time += 64.0;
    let asked = following(&first);
    let (second, reply) = ask(&mut bench, &asked, "10.0.0.1:4001", 5e-6);
    assert!(reply.interleaved);
    assert_eq!((second.transmit, second.origin), (truly, asked.receive));
    assert_eq!(second.receive, bench.now().wall);
    bench.time += 64.0;
    let asked = following(&second);
    let (third, _) = ask(&mut bench, &asked, "10.0.0.1:4002", 5e-6);
    let earlier = second.receive.offset(Seconds::new(5e-6));
    assert_eq!((third.transmit, third.origin), (earlier, asked.receive));
}

#[test]
fn whoever_has_not_seen_the_answer_gets_a_plain_one() {
    let mut bench = bench();
    let (first, _) = ask(&mut bench, &request(4, Mode::Client), "10.0.0.1:4000", 5e-6);
    let good = following(&first);
    let zero = NtpTimestamp::ZERO;
    let off_by_one = NtpTimestamp::from_bits(good.origin.to_bits() ^ 1);
    let plain = [
        ("a zero origin", Header { origin: zero, ..good }, "10.0.0.7:4000"),
        ("another client", good, "10.0.0.8:4000"),
        ("nothing received", Header { receive: zero, ..good }, "10.0.0.1:4000"),
    ];
    for (what, asked, client) in plain {
        bench.time += 64.0;
        let (answer, reply) = ask(&mut bench, &asked, client, 5e-6);
        assert!(!reply.interleaved, "{what}");
        assert_eq!(answer.origin, asked.transmit, "{what}");
    }
    for (what, change) in [
        ("a guess", Header { origin: off_by_one, ..good }),
        ("ambiguous", Header { receive: good.transmit, ..good }),
    ] {
        let mut bench = self::bench();
        ask(&mut bench, &request(4, Mode::Client), "10.0.0.1:4000", 5e-6);
        assert!(!ask(&mut bench, &change, "10.0.0.1:4000", 5e-6).1.interleaved, "{what}");
    }
}

#[test]
fn a_replay_gets_a_plain_answer_and_symmetric_peers_too() {
    let mut bench = bench();
    let (first, _) = ask(&mut bench, &request(4, Mode::Client), "10.0.0.1:4000", 5e-6);
    let asked = following(&first);
    let peer = Header { mode: Mode::SymmetricActive, ..asked };
    assert!(!ask(&mut self::bench(), &peer, "10.0.0.1:123", 5e-6).1.interleaved);
    bench.time += 64.0;
    assert!(ask(&mut bench, &asked, "10.0.0.1:4000", 5e-6).1.interleaved);
    bench.time += 0.1;
    assert!(!ask(&mut bench, &asked, "10.0.0.1:4000", 5e-6).1.interleaved);
}
