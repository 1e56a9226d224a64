//! What a forger cannot do to a pool: each rule of the modes' security, by its test.

use super::{THREE, of, pool, sent_to, soliciting};
use crate::bench::{Bench, from, ip, request, setup};
use crate::names::{addresses, run};
use rsntpd::config::model::{Digest, Key, Server};
use rsntpd::engine::report::event::Event;
use rsntpd::units::{KeyId, Leap, NtpTimestamp, PollExponent, RefId};
use rsntpd::wire::{Header, Mode};
use std::net::IpAddr;

/// What a packet from there makes of a pool that waits for responses: how many servers it has then.
fn servers_after(bench: &mut Bench, data: &[u8], sender: &str) -> usize {
    bench.deliver(data, from(sender));
    addresses(bench).len() - 1
}

#[test]
fn security_a_response_counts_only_with_our_random_number_from_the_address_and_port_it_was_sent_to() {
    let mut bench = soliciting(setup(vec![pool()]), THREE);
    let asked = sent_to(&bench, "192.0.2.1");
    let right = bench.reply(&asked, 1);
    for origin in [0, 1, asked.transmit.to_bits() + 1] {
        let forged = Header { origin: NtpTimestamp::from_bits(origin), ..right };
        assert_eq!(servers_after(&mut bench, &forged.to_bytes(), "192.0.2.1:123"), 0);
    }
    for elsewhere in ["192.0.2.2:123", "192.0.2.77:123", "192.0.2.1:124", "10.0.0.99:123", "127.0.0.1:123"] {
        assert_eq!(servers_after(&mut bench, &right.to_bytes(), elsewhere), 0, "{elsewhere}");
    }
    for mode in [Mode::SymmetricPassive, Mode::Broadcast] {
        let other = Header { mode, ..right };
        assert_eq!(servers_after(&mut bench, &other.to_bytes(), "192.0.2.1:123"), 0);
    }
    let lines = bench.events.len();
    assert_eq!(servers_after(&mut bench, &right.to_bytes(), "192.0.2.1:123"), 1, "the true one is taken");
    assert!(bench.events.len() > lines);
    assert_eq!(servers_after(&mut bench, &right.to_bytes(), "192.0.2.1:123"), 1, "once");
}

#[test]
fn security_a_response_without_the_key_of_the_line_changes_nothing_and_logs_nothing() {
    let mut setup = setup(vec![Server { key: Some(KeyId(7)), ..pool() }]);
    setup.keys = vec![
        Key::new(KeyId(7), Digest::Sha1, b"secret".to_vec()),
        Key::new(KeyId(8), Digest::Sha1, b"other".to_vec()),
    ];
    setup.config.auth.trusted = vec![KeyId(7), KeyId(8)];
    let mut bench = soliciting(setup, THREE);
    let asked = sent_to(&bench, "192.0.2.1");
    let plain = bench.reply(&asked, 1).to_bytes();
    let signed = |key: u8, secret: &[u8]| {
        use sha1::Digest as _;
        let digest = sha1::Sha1::digest([secret, &plain[..]].concat());
        [&plain[..], &[0, 0, 0, key], &digest[..]].concat()
    };
    let lines = bench.events.len();
    for wrong in [
        plain.to_vec(),
        [&plain[..], &[0; 4]].concat(),
        signed(7, b"secreT"),
        signed(8, b"other"),
        [&plain[..], &[0, 0, 0, 7], &[0x5a; 20]].concat(),
    ] {
        assert_eq!(servers_after(&mut bench, &wrong, "192.0.2.1:123"), 0);
    }
    assert_eq!(bench.events.len(), lines, "nothing in the log for a rejected packet");
    assert_eq!(
        servers_after(&mut bench, &signed(7, b"secret"), "192.0.2.1:123"),
        1,
        "the request stayed open"
    );
}

#[test]
fn security_what_is_not_synchronized_or_refuses_us_becomes_no_server() {
    let mut bench = soliciting(setup(vec![pool()]), THREE);
    let reply = |bench: &Bench, n: u8| bench.reply(&sent_to(bench, &format!("192.0.2.{n}")), 1);
    let starting = Header { leap: Leap::Unsynchronised, ..reply(&bench, 1) };
    let wrong = Header { stratum: 16, ..reply(&bench, 2) };
    let denies = Header { stratum: 0, reference_id: RefId::from_bytes(*b"DENY"), ..reply(&bench, 3) };
    for (n, header) in [starting, wrong, denies].iter().enumerate() {
        assert_eq!(servers_after(&mut bench, &header.to_bytes(), &format!("192.0.2.{}:123", n + 1)), 0);
    }
    run(&mut bench, 400.0, of(THREE), |_, _| true);
    assert_eq!(addresses(&mut bench), ["0.0.0.0", "192.0.2.1", "192.0.2.2"], "who refuses us is left alone");
}

#[test]
fn security_our_own_addresses_and_groups_are_not_solicited() {
    let mut bench = soliciting(setup(vec![pool()]), &["10.0.0.99", "224.0.1.1", "192.0.2.1"]);
    let to: Vec<IpAddr> = bench.sent.iter().map(|tx| tx.to.ip()).collect();
    assert_eq!(to, [ip("192.0.2.1")]);
    assert_eq!(addresses(&mut bench), ["0.0.0.0"]);
}

#[test]
fn security_a_flood_of_responses_makes_no_association_and_loses_no_sample() {
    let mut bench = soliciting(setup(vec![pool()]), THREE);
    for n in 0..10_000u32 {
        let forged = Header {
            mode: Mode::Server,
            stratum: 1,
            origin: NtpTimestamp::from_bits(u64::from(n) << 32 | 1),
            ..request(4, Mode::Server)
        };
        let sender = if n % 2 == 0 {
            "192.0.2.1:123".to_owned()
        } else {
            format!("172.16.{}.{}:123", n / 250 % 250, n % 250 + 1)
        };
        bench.deliver(&forged.to_bytes(), from(&sender));
    }
    assert_eq!(addresses(&mut bench), ["0.0.0.0"]);
    for address in THREE {
        let reply = bench.reply(&sent_to(&bench, address), 1);
        bench.deliver(&reply.to_bytes(), from(&format!("{address}:123")));
    }
    assert_eq!(addresses(&mut bench).len(), 4);
}

#[test]
fn security_ten_thousand_forged_packets_lose_no_sample_while_it_keeps_time() {
    let mut bench = Bench::new(setup(vec![Server { maxpoll: PollExponent::new(6), ..pool() }]));
    run(&mut bench, 1000.0, of(THREE), |_, _| true);
    let lines = bench.events.len();
    let modes = [Mode::Server, Mode::SymmetricActive, Mode::SymmetricPassive, Mode::Broadcast];
    for n in 0..10_000usize {
        let forged = Header {
            stratum: 1,
            leap: Leap::None,
            origin: NtpTimestamp::from_bits((n as u64 % 3) << 40),
            receive: bench.now().wall,
            transmit: bench.now().wall,
            ..request(4, modes[n % 4])
        };
        let mut data = forged.to_bytes().to_vec();
        match n % 5 {
            1 => data.extend([0; 4]),
            2 => data.extend([0, 0, 0, 7].into_iter().chain([0x5a; 20])),
            _ => {}
        }
        let sender = match n % 7 {
            0 => format!("172.16.{}.{}:123", n / 250 % 250, n % 250 + 1),
            _ => format!("{}:123", THREE[n % 3]),
        };
        bench.deliver(&data, from(&sender));
        if n % 10 == 9 {
            bench.run_served(bench.time + 1.0);
        }
    }
    assert_eq!(addresses(&mut bench), ["0.0.0.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    for i in 1..4 {
        assert_eq!(bench.variable(Some(i), "reach"), "0xff");
    }
    let more: Vec<String> = bench.events[lines..].iter().map(Event::text).collect();
    assert!(more.iter().all(|text| !text.contains("mobilize") && !text.contains("bad_auth")), "{more:#?}");
}
