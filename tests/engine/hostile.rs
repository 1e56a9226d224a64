//! What a hostile network must not achieve: rows of the published holes of ntpd, by name.

use crate::bench::{Bench, from, ip, local_clock, request, server, setup};
use proptest::prelude::*;
use rsntpd::config::model::{Digest, Key, Server};
use rsntpd::engine::contract::Setup;
use rsntpd::engine::report::event::Event;
use rsntpd::units::{KeyId, Leap, NtpShort, NtpTimestamp, RefId, Seconds};
use rsntpd::wire::{Header, Mode};

/// An engine that is synchronised, with one request open; the request.
fn with_open_request() -> (Bench, Header, std::net::SocketAddr) {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(300.0);
    while bench.sent.is_empty() {
        bench.advance(3000.0);
    }
    let tx = bench.sent.remove(0);
    let open = Header::parse(&tx.data).unwrap();
    (bench, open, tx.to)
}

#[test]
fn kod_without_origin_check_silences_a_client_2015_7704() {
    let (mut bench, open, to) = with_open_request();
    for code in [b"DENY", b"RSTR", b"RATE"] {
        let mut kiss = bench.reply(&open, 0);
        kiss.leap = Leap::Unsynchronised;
        kiss.reference_id = RefId::from_text(code);
        for origin in [NtpTimestamp::ZERO, NtpTimestamp::from_bits(open.transmit.to_bits() ^ 1)] {
            bench.deliver(&Header { origin, ..kiss }.to_bytes(), to);
        }
    }
    assert_eq!(bench.happened(|e| matches!(e, Event::KissObeyed(..))), 0);
    let honest = bench.reply(&open, 1);
    let processed = bench.variable(None, "ss_processed");
    bench.deliver(&honest.to_bytes(), to);
    assert_ne!(bench.variable(None, "ss_processed"), processed, "the true answer still counts");
}

#[test]
fn a_true_kiss_is_obeyed_and_told() {
    let (mut bench, open, to) = with_open_request();
    let mut kiss = bench.reply(&open, 0);
    kiss.reference_id = RefId::from_text(b"DENY");
    bench.deliver(&kiss.to_bytes(), to);
    assert_eq!(bench.happened(|e| matches!(e, Event::KissObeyed(..))), 1);
    bench.run(bench.time + 5000.0, |_, _| panic!("asked again after DENY"));

    let (mut bench, open, to) = with_open_request();
    let before: u8 = bench.variable(Some(0), "hpoll").parse().unwrap();
    let mut kiss = bench.reply(&open, 0);
    kiss.reference_id = RefId::from_text(b"RATE");
    bench.deliver(&kiss.to_bytes(), to);
    let after: u8 = bench.variable(Some(0), "hpoll").parse().unwrap();
    assert!(after > before && after <= 10, "{before} {after}");
}

#[test]
fn zero_origin_accepted_2015_8138() {
    let (mut bench, open, to) = with_open_request();
    let reach = bench.variable(Some(0), "reach");
    let processed = bench.variable(None, "ss_processed");
    bench.deliver(&Header { origin: NtpTimestamp::ZERO, ..bench.reply(&open, 1) }.to_bytes(), to);
    assert_eq!(bench.variable(Some(0), "reach"), reach);
    assert_eq!(bench.variable(None, "ss_processed"), processed);
}

#[test]
fn an_answer_counts_once() {
    let (mut bench, open, to) = with_open_request();
    let reply = bench.reply(&open, 1).to_bytes();
    bench.deliver(&reply, to);
    let processed = bench.variable(None, "ss_processed");
    bench.deliver(&reply, to);
    assert_eq!(bench.variable(None, "ss_processed"), processed);
    assert_eq!(bench.variable(Some(0), "flash"), "0x1");
}

#[test]
fn only_the_server_itself_may_answer() {
    let (mut bench, open, _) = with_open_request();
    let reply = bench.reply(&open, 1).to_bytes();
    let processed = bench.variable(None, "ss_processed");
    for other in ["192.0.2.2:123", "192.0.2.1:124", "192.0.2.1:50123"] {
        bench.deliver(&reply, from(other));
    }
    assert_eq!(bench.variable(None, "ss_processed"), processed);
}

#[test]
fn predictable_transmit_time_2020_13817() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    let mut cookies = Vec::new();
    for _ in 0..8 {
        bench.advance(bench.time + 100.0);
        cookies.extend(bench.sent.drain(..).map(|tx| Header::parse(&tx.data).unwrap().transmit));
    }
    for (i, a) in cookies.iter().enumerate() {
        let off = (*a - bench.truth()).to_seconds().get().abs();
        assert!(off > 3600.0, "tells our clock: {off}");
        assert!(cookies[..i].iter().all(|b| b != a));
    }
}

#[test]
fn huge_or_absurd_header_values_2015_5219() {
    let (mut bench, open, to) = with_open_request();
    let good = bench.reply(&open, 1);
    let absurd = [
        Header { root_delay: NtpShort::from_bits(u32::MAX >> 1), ..good },
        Header { root_dispersion: NtpShort::from_bits(u32::MAX), ..good },
        Header { stratum: 16, ..good },
        Header { stratum: 255, ..good },
        Header { leap: Leap::Unsynchronised, ..good },
        Header { receive: NtpTimestamp::ZERO, ..good },
        Header { transmit: good.receive.offset(Seconds::new(-5.0)), ..good },
    ];
    for header in absurd {
        let mut bench2 = Bench::new(setup(vec![server("192.0.2.1")]));
        bench2.advance(1.0);
        let tx = bench2.sent.remove(0);
        let origin = Header::parse(&tx.data).unwrap().transmit;
        bench2.deliver(&Header { origin, ..header }.to_bytes(), tx.to);
        assert_eq!(bench2.variable(Some(0), "reach"), "0x0", "{header:?}");
    }
    bench.deliver(&good.to_bytes(), to);
    for (poll, precision) in [(127, 127), (-128, -128), (127, -128)] {
        bench.run(bench.time + 2000.0, |_, _| None);
        while bench.sent.is_empty() {
            bench.advance(bench.time + 3000.0);
        }
        let tx = bench.sent.remove(0);
        let open = Header::parse(&tx.data).unwrap();
        bench.deliver(&Header { poll, precision, ..bench.reply(&open, 1) }.to_bytes(), tx.to);
        let hpoll: u8 = bench.variable(Some(0), "hpoll").parse().unwrap();
        assert!((6..=10).contains(&hpoll));
    }
}

#[test]
fn no_mac_where_one_is_needed_2015_1798_and_wrong_key_2015_7974() {
    let key = |id, secret: &[u8]| Key::new(KeyId(id), Digest::Md5, secret.to_vec());
    let keys = vec![key(1, b"one"), key(2, b"two")];
    let signed = Server { key: Some(KeyId(1)), ..server("192.0.2.1") };
    let mut setup = Setup { keys: keys.clone(), ..setup(vec![signed]) };
    setup.config.auth.trusted = vec![KeyId(1), KeyId(2)];
    let mut bench = Bench::new(setup);
    let mut signer = rsntpd::engine::auth::Keys::new(&keys, &[KeyId(1), KeyId(2)]);
    bench.advance(1.0);
    let tx = bench.sent.remove(0);
    assert!(matches!(
        signer.check(&tx.data, ip("10.0.0.99")),
        Ok(rsntpd::engine::auth::Authenticity::Verified(KeyId(1)))
    ));
    let open = Header::parse(&tx.data).unwrap();
    let plain = bench.reply(&open, 1).to_bytes().to_vec();
    let mut with_key = |id| {
        let mut data = plain.clone();
        signer.sign(KeyId(id), &mut data);
        data
    };
    let crypto_nak = [&plain[..], &[0; 4]].concat();
    for forged in [plain.clone(), with_key(2), crypto_nak] {
        bench.deliver(&forged, tx.to);
        assert_eq!(bench.variable(Some(0), "reach"), "0x0");
    }
    bench.deliver(&with_key(1), tx.to);
    assert_eq!(bench.variable(Some(0), "reach"), "0x1", "the true answer still counts");
}

#[test]
fn a_wrong_code_is_no_answer_even_where_none_is_asked_for_2015_7871() {
    let (mut bench, open, to) = with_open_request();
    let reach = bench.variable(Some(0), "reach");
    let plain = bench.reply(&open, 1).to_bytes().to_vec();
    let crypto_nak = [&plain[..], &[0; 4]].concat();
    let unknown_key = [&plain[..], &[0, 0, 0, 9], &[1; 20]].concat();
    for forged in [crypto_nak, unknown_key] {
        bench.deliver(&forged, to);
        assert_eq!(bench.variable(Some(0), "flash"), "0x10");
        assert_eq!(bench.variable(Some(0), "reach"), reach);
    }
    bench.deliver(&plain, to);
    assert_eq!(bench.variable(Some(0), "flash"), "0x0", "the true answer still counts");
}

#[test]
fn loopback_and_clock_addresses_are_no_servers_2014_9298() {
    let mut bench = Bench::new(setup(vec![local_clock()]));
    bench.advance(1.0);
    let reach = bench.variable(Some(0), "reach");
    let forged = bench.reply(&request(4, Mode::Client), 1).to_bytes();
    bench.deliver(&forged, from("127.127.1.0:123"));
    assert_eq!(bench.variable(Some(0), "reach"), reach);
    assert_eq!(bench.variable(None, "stratum"), "11");
}

proptest! {
    #[test]
    fn any_octets_are_survived(packets in prop::collection::vec(
        (prop::collection::vec(any::<u8>(), 0..200), any::<u16>(), any::<bool>()), 1..40)) {
        let (mut bench, open, to) = with_open_request();
        for (mut data, port, as_server) in packets {
            let from = if as_server {
                // As near to a true answer as an attacker comes who has seen the request.
                if data.len() >= 48 {
                    data[0] = data[0] & 0xc0 | 0x24;
                    data[24..32].copy_from_slice(&open.transmit.to_bits().to_be_bytes());
                }
                to
            } else {
                std::net::SocketAddr::from(([10, 0, 0, 1], port))
            };
            let _ = bench.ask(&data, from);
            bench.deliver(&data, from);
            bench.time += 0.5;
        }
        bench.advance(bench.time + 2000.0);
    }
}
