//! Keys and digests.

use crate::exchange::{next_request, with_open_request};
use crate::table::{Row, tried};
use rsntpd::config::model::{Digest, Key, Server};
use rsntpd::engine::auth::{Authenticity, Keys};
use rsntpd::engine::contract::Setup;
use rsntpd::units::{KeyId, NtpTimestamp};
use rsntpd::wire::Header;
use sim::bench::{Bench, ip, server, setup};

pub const ROWS: &[Row] = &[
    Row {
        holes: "2015-1798, 2015-7974",
        rule: "an association with a key takes what this very key signed, and nothing else",
        tried: tried![cve_2015_1798_2015_7974_only_the_key_of_the_line_counts],
    },
    Row {
        holes: "2016-1550",
        rule: "all of a digest is compared, in constant time",
        tried: tried![
            cve_2016_1550_every_bit_of_a_digest_counts,
            cve_2016_1550_the_comparison_is_in_constant_time,
        ],
    },
    Row {
        holes: "2015-7871, 2016-1547, 2016-4957",
        rule: "a crypto-NAK or a wrong MAC makes, ends and clears no association",
        tried: tried![
            cve_2015_7871_a_wrong_mac_is_no_answer_where_none_is_wanted,
            cve_2016_1547_2016_4957_a_crypto_nak_ends_nothing,
        ],
    },
];

const KINDS: [(Digest, usize); 7] = [
    (Digest::Md5, 16),
    (Digest::Sha1, 20),
    (Digest::Ripemd160, 20),
    (Digest::Sha256, 20),
    (Digest::Sha384, 20),
    (Digest::Sha512, 20),
    (Digest::AesCmac, 16),
];

fn key(id: u32, digest: Digest) -> Key {
    Key::new(KeyId(id), digest, format!("sixteen octets {id}").into_bytes())
}

/// A client that has a request with key 1 open, the keys, the request and where it went.
fn keyed(digest: Digest) -> (Bench, Keys, Header, std::net::SocketAddr) {
    let (keys, trusted) = (vec![key(1, digest), key(2, digest)], [KeyId(1), KeyId(2)]);
    let line = Server { key: Some(KeyId(1)), ..server("192.0.2.1") };
    let mut setup = Setup { keys: keys.clone(), ..setup(vec![line]) };
    setup.config.auth.trusted = trusted.to_vec();
    let mut bench = Bench::new(setup);
    let (open, to) = next_request(&mut bench);
    (bench, Keys::new(&keys, &trusted), open, to)
}

fn cve_2015_1798_2015_7974_only_the_key_of_the_line_counts() {
    for (digest, _) in KINDS {
        let (mut bench, mut keys, open, to) = keyed(digest);
        let plain = bench.reply(&open, 1).to_bytes().to_vec();
        let mut signed = |id| {
            let mut data = plain.clone();
            assert!(keys.sign(KeyId(id), &mut data));
            data
        };
        // Of key 2, by the number of key 1.
        let mut mixed = signed(2);
        mixed[51] = 1;
        let crypto_nak = [&plain[..], &[0; 4]].concat();
        for forged in [plain.clone(), signed(2), mixed, crypto_nak] {
            bench.deliver(&forged, to);
            assert_eq!(bench.variable(Some(0), "reach"), "0x0", "{digest:?}");
        }
        bench.deliver(&signed(1), to);
        assert_eq!(bench.variable(Some(0), "reach"), "0x1", "the true answer still counts");
    }
}

fn cve_2016_1550_every_bit_of_a_digest_counts() {
    for (digest, length) in KINDS {
        let mut keys = Keys::new(&[key(1, digest)], &[KeyId(1)]);
        let mut packet = vec![0x24; 48];
        assert!(keys.sign(KeyId(1), &mut packet));
        assert_eq!(packet.len(), 52 + length);
        let mut worth = |packet: &[u8]| keys.check(packet, ip("192.0.2.1"));
        assert_eq!(worth(&packet), Ok(Authenticity::Verified(KeyId(1))), "{digest:?}");
        for bit in 0..8 * length {
            packet[52 + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(worth(&packet), Ok(Authenticity::Failed), "{digest:?}, bit {bit}");
            packet[52 + bit / 8] ^= 1 << (bit % 8);
        }
        for shorter in (0..length).step_by(4).skip(1) {
            assert_ne!(worth(&packet[..52 + shorter]), Ok(Authenticity::Verified(KeyId(1))), "{shorter}");
        }
    }
}

/// A clock does not show it, beside what the digest takes: the source does.
fn cve_2016_1550_the_comparison_is_in_constant_time() {
    let source = include_str!("../../src/engine/auth/mod.rs");
    let function = source.split("    fn is(").nth(1).expect("the function that compares digests");
    let body = function.split("\n    }\n").next().unwrap();
    assert!(body.contains(".ct_eq("), "{body}");
    assert!(!body.contains("digest ==") && !body.contains("== digest"), "{body}");
    assert_eq!(source.matches("fn is(").count(), 1);
}

fn cve_2015_7871_a_wrong_mac_is_no_answer_where_none_is_wanted() {
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

fn cve_2016_1547_2016_4957_a_crypto_nak_ends_nothing() {
    let (mut bench, mut keys, open, to) = keyed(Digest::Sha1);
    let mut answer = bench.reply(&open, 1).to_bytes().to_vec();
    for n in 0..1000u64 {
        let origin = if n % 2 == 0 { open.transmit } else { NtpTimestamp::from_bits(n) };
        let nak = Header { origin, ..bench.reply(&open, (n % 3) as u8) };
        bench.deliver(&[&nak.to_bytes()[..], &[0; 4]].concat(), to);
    }
    assert_eq!(bench.engine.associations().count(), 1);
    assert!(keys.sign(KeyId(1), &mut answer));
    bench.deliver(&answer, to);
    assert_eq!(bench.variable(Some(0), "reach"), "0x1", "the request stayed open");
    next_request(&mut bench);
}
