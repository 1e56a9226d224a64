//! Floods from forged sources: whoever is named as the sender must not get more octets than were
//! sent in that name. `cargo test floods -- --nocapture` prints the figures.

use crate::bench::{Bench, from, local_clock, request, setup};
use rsntpd::config::model::{AccessFlags, Digest, Family, Key, Origin, Restrict, RestrictTarget};
use rsntpd::engine::contract::Setup;
use rsntpd::units::KeyId;
use rsntpd::wire::Mode;
use std::net::SocketAddr;

fn bench(flags: AccessFlags) -> Bench {
    let mut setup = setup(vec![local_clock()]);
    let target = RestrictTarget::Default(Family::Any);
    setup.config.restrict = vec![Restrict { target, flags, ntpport: false, origin: Origin::default() }];
    setup.config.auth.trusted = vec![KeyId(1)];
    let keys = vec![Key::new(KeyId(1), Digest::Md5, b"one".to_vec())];
    let mut bench = Bench::new(Setup { keys, ..setup });
    bench.advance(1.0);
    bench
}

/// Sends `data` 10,000 times in a second from 100 forged addresses; octets out per octet in.
fn amplification(bench: &mut Bench, what: &str, data: &[u8], port: u16) -> f64 {
    let (mut octets, start) = (0, bench.time);
    for i in 0..10_000u32 {
        bench.time = start + f64::from(i) * 1e-4;
        let victim = SocketAddr::from(([198, 51, 100, (i % 100) as u8], port));
        let answer = bench.ask(data, victim);
        if answer.is_none() && data.first().is_none_or(|first| !matches!(first & 7, 1 | 3)) {
            bench.deliver(data, victim);
        }
        octets += answer.map_or(0, |a| a.len()) + bench.sent.drain(..).map(|tx| tx.data.len()).sum::<usize>();
    }
    let factor = octets as f64 / (data.len().max(1) as f64 * 10_000.0);
    println!("{what:<44} {factor:.4}");
    factor
}

fn time_packets() -> Vec<(&'static str, Vec<u8>)> {
    let plain = request(4, Mode::Client).to_bytes().to_vec();
    let with = |tail: &[u8]| [&plain[..], tail].concat();
    let field = with(&[&[0x01, 0x04, 0, 28][..], &[0; 24]].concat());
    let mut broadcast = plain.clone();
    broadcast[0] = 0x25;
    vec![
        ("requests, version 4", plain.clone()),
        ("requests, version 1", request(1, Mode::Reserved).to_bytes().to_vec()),
        ("symmetric active", request(4, Mode::SymmetricActive).to_bytes().to_vec()),
        ("a forged code", with(&[&[0, 0, 0, 1][..], &[7; 16]].concat())),
        ("a code of an unknown key", with(&[&[0, 0, 0, 9][..], &[7; 20]].concat())),
        ("a crypto-NAK", with(&[0; 4])),
        ("an extension field", field),
        ("trailing garbage", with(&[1; 13])),
        ("broadcasts", broadcast),
        ("server answers", request(4, Mode::Server).to_bytes().to_vec()),
        ("mode 7, monlist", [&[0x17, 0, 3, 42][..], &[0; 4]].concat()),
        ("nothing at all", Vec::new()),
        ("one octet", vec![0x23]),
        ("2,048 octets", vec![0x23; 2048]),
    ]
}

#[test]
fn no_time_packet_is_answered_with_more_octets_than_it_has() {
    let limited = AccessFlags::LIMITED.union(AccessFlags::KOD);
    for (words, flags) in [("", AccessFlags::NONE), (", limited kod", limited)] {
        for (what, data) in time_packets() {
            let factor = amplification(&mut bench(flags), &format!("{what}{words}"), &data, 40_000);
            assert!(factor <= 1.0, "{what}: {factor}");
            if !words.is_empty() {
                // Two answers and a kiss a client at most.
                assert!(factor <= 0.04, "{what}: {factor}");
            }
        }
    }
}

#[test]
fn ports_that_no_client_has_get_nothing() {
    for port in [0, 1, 19, 122] {
        for (what, data) in time_packets() {
            assert_eq!(
                amplification(&mut bench(AccessFlags::NONE), &format!("{what}, port {port}"), &data, port),
                0.0
            );
        }
    }
}

#[test]
fn our_own_address_gets_nothing() {
    let mut bench = bench(AccessFlags::NONE);
    for (what, data) in time_packets() {
        assert_eq!(bench.ask(&data, from("10.0.0.99:123")), None, "{what}");
        bench.deliver(&data, from("10.0.0.99:123"));
        assert!(bench.sent.is_empty(), "{what}");
    }
}
