//! MACs of packets before version 4, which some servers want whole and others cut to 20 octets.

use crate::bench::{Bench, ip, server, setup};
use rsntpd::config::model::{Digest, Key, Server};
use rsntpd::engine::auth::{Authenticity, Keys};
use rsntpd::engine::contract::Setup;
use rsntpd::units::KeyId;
use rsntpd::wire::Header;
use rsntpd::wire::trailer::DigestLength;

const DIGESTS: [(u32, Digest, usize); 5] = [
    (1, Digest::Md5, 16),
    (2, Digest::Sha1, 20),
    (3, Digest::Sha256, 32),
    (4, Digest::Sha384, 48),
    (5, Digest::Sha512, 64),
];

fn keys() -> Vec<Key> {
    DIGESTS.iter().map(|(id, digest, _)| Key::new(KeyId(*id), *digest, b"a secret".to_vec())).collect()
}

/// A client for the server, and the server's keys.
fn client(version: u8, id: u32) -> (Bench, Keys) {
    let trusted: Vec<KeyId> = DIGESTS.iter().map(|(id, ..)| KeyId(*id)).collect();
    let line = Server { key: Some(KeyId(id)), version, ..server("192.0.2.1") };
    let mut setup = Setup { keys: keys(), ..setup(vec![line]) };
    setup.config.auth.trusted.clone_from(&trusted);
    (Bench::new(setup), Keys::new(&keys(), &trusted))
}

/// The lengths of the requests until `until`; those whose digest has `length` octets get a signed response.
fn run(bench: &mut Bench, until: f64, keys: &mut Keys, id: u32, length: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    loop {
        for tx in std::mem::take(&mut bench.sent) {
            lengths.push(tx.data.len() - 52);
            let verified = keys.check(&tx.data, ip("192.0.2.99")) == Ok(Authenticity::Verified(KeyId(id)));
            if verified && tx.data.len() - 52 == length {
                let mut reply = bench.reply(&Header::parse(&tx.data).unwrap(), 1).to_bytes().to_vec();
                let digest = if length > 20 { DigestLength::Whole } else { DigestLength::Cut };
                keys.sign_as(KeyId(id), digest, &mut reply);
                bench.deliver(&reply, tx.to);
            }
        }
        if !bench.advance(until) {
            return lengths;
        }
    }
}

#[test]
fn e2_version_3_works_with_servers_that_cut_digests_and_with_those_that_do_not() {
    for (id, _, full) in DIGESTS {
        for version in [1, 2, 3] {
            for wanted in [full, full.min(20)] {
                let (mut bench, mut keys) = client(version, id);
                let lengths = run(&mut bench, 10.0, &mut keys, id, wanted);
                assert_eq!(bench.variable(None, "stratum"), "2", "key {id}, version {version}, {wanted}");
                // Once it has responded, it gets what it knows.
                let later = run(&mut bench, 3_000.0, &mut keys, id, wanted);
                assert!(later.iter().all(|length| *length == wanted), "{lengths:?} {later:?}");
                assert_eq!(bench.variable(Some(0), "reach"), "0xff");
                assert_eq!(bench.variable(Some(0), "badauth"), "0");
            }
        }
    }
}

#[test]
fn e2_version_4_is_cut_and_nothing_else() {
    for (id, _, full) in DIGESTS {
        let (mut bench, mut keys) = client(4, id);
        let lengths = run(&mut bench, 1_000.0, &mut keys, id, 0);
        assert!(lengths.len() > 8 && lengths.iter().all(|length| *length == full.min(20)), "{lengths:?}");
    }
}

#[test]
fn e2_a_server_that_comes_to_want_the_other_form_is_found_again() {
    let (mut bench, mut keys) = client(3, 3);
    run(&mut bench, 1_000.0, &mut keys, 3, 20);
    assert_eq!(bench.variable(None, "stratum"), "2");
    run(&mut bench, 8_000.0, &mut keys, 3, 32);
    assert_ne!(bench.variable(Some(0), "reach"), "0x0");
}
