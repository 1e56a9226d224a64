//! A broadcast server: what it sends, when, and to whom.

use crate::bench::{Bench, ip, server, setup};
use rsntpd::config::model::{Digest, Key, Kind, Server, Target};
use rsntpd::engine::contract::{Setup, Tx};
use rsntpd::units::{KeyId, Leap, PollExponent};
use rsntpd::wire::{Header, Mode};

fn broadcast(address: &str) -> Server {
    let line = Server::new(Kind::Broadcast, Target::Address(ip(address)));
    Server { minpoll: PollExponent::new(4), ..line }
}

/// What was sent in mode 5 while the servers respond, and when.
fn announced(setup: Setup, until: f64) -> (Bench, Vec<(f64, Tx)>) {
    let mut bench = Bench::new(setup);
    let mut announced = Vec::new();
    loop {
        for tx in std::mem::take(&mut bench.sent) {
            let header = Header::parse(&tx.data).unwrap();
            if header.mode == Mode::Broadcast {
                announced.push((bench.time, tx));
            } else {
                let reply = bench.reply(&header, 1);
                bench.deliver(&reply.to_bytes(), tx.to);
            }
        }
        if !bench.advance(until) {
            break;
        }
    }
    (bench, announced)
}

#[test]
fn it_sends_the_time_once_it_has_it_and_every_interval() {
    let (_, sent) = announced(setup(vec![server("192.0.2.1"), broadcast("10.0.0.255")]), 300.0);
    assert!((17..=19).contains(&sent.len()), "{}", sent.len());
    for (_, tx) in &sent {
        let header = Header::parse(&tx.data).unwrap();
        assert_eq!((tx.to, tx.from), ("10.0.0.255:123".parse().unwrap(), None));
        assert_eq!((header.leap, header.stratum, header.poll), (Leap::None, 2, 4));
        assert!(header.origin.is_zero() && header.receive.is_zero() && !header.transmit.is_zero());
    }
    for pair in sent.windows(2) {
        assert!((15.0..18.1).contains(&(pair[1].0 - pair[0].0)), "{} {}", pair[0].0, pair[1].0);
    }
}

#[test]
fn without_the_time_it_is_silent() {
    assert_eq!(announced(setup(vec![broadcast("10.0.0.255")]), 300.0).1.len(), 0);
}

#[test]
fn a_key_signs_and_a_group_gets_a_copy_from_each_address() {
    let mut line = broadcast("224.0.1.1");
    line.key = Some(KeyId(7));
    let mut setup = setup(vec![server("192.0.2.1"), line]);
    setup.keys = vec![Key::new(KeyId(7), Digest::Sha1, b"secret".to_vec())];
    setup.config.auth.trusted = vec![KeyId(7)];
    let (_, sent) = announced(setup, 100.0);
    assert!(!sent.is_empty());
    for (_, tx) in &sent {
        assert_eq!(tx.data.len(), 48 + 4 + 20);
        assert_eq!((tx.to, tx.from), ("224.0.1.1:123".parse().unwrap(), Some(ip("10.0.0.99"))));
    }
}

#[test]
fn a_group_of_ipv6_gets_a_copy_by_each_interface() {
    use rsntpd::engine::contract::{Input, Interface};
    let mut bench = Bench::new(setup(vec![server("192.0.2.1"), broadcast("ff05::101")]));
    let on = |name: &str, address: &str| Interface { name: name.to_owned(), address: ip(address) };
    bench.input(Input::Interfaces(vec![
        on("lo", "::1"),
        on("eth0", "10.0.0.99"),
        on("eth0", "fe80::1"),
        on("eth0", "2001:db8::1"),
        on("eth0", "2001:db8:1::1"),
        on("eth1", "fe80::2"),
    ]));
    let mut from = std::collections::BTreeSet::new();
    while bench.advance(60.0) {
        for tx in std::mem::take(&mut bench.sent) {
            let header = Header::parse(&tx.data).unwrap();
            if header.mode == Mode::Broadcast {
                from.insert(tx.from.unwrap());
            } else {
                let reply = bench.reply(&header, 1);
                bench.deliver(&reply.to_bytes(), tx.to);
            }
        }
    }
    assert_eq!(from.into_iter().collect::<Vec<_>>(), [ip("2001:db8::1"), ip("fe80::2")]);
}

#[test]
fn it_is_no_source_and_shown_as_a_broadcast() {
    let (mut bench, _) = announced(setup(vec![server("192.0.2.1"), broadcast("10.0.0.255")]), 100.0);
    let id = bench.engine.associations().last().unwrap().id;
    assert_eq!(bench.engine.source(id).unwrap().status() & 0xf800, 0x8800);
    let shown = |bench: &mut Bench, name: &str| bench.variable(Some(1), name);
    assert_eq!(shown(&mut bench, "hmode"), "5");
    assert_eq!(shown(&mut bench, "pmode"), "0");
    assert_eq!(shown(&mut bench, "refid"), "BCST");
    assert_eq!(shown(&mut bench, "stratum"), "16");
}
