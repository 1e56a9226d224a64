//! The serving side: replies in kind, access control, rate limits, authentication.

use crate::bench::{Bench, from, ip, local_clock, request, server, setup};
use rsntpd::config::model::{AccessFlags, Digest, Family, Key, Origin, Restrict, RestrictTarget};
use rsntpd::engine::contract::Setup;
use rsntpd::units::{KeyId, Leap};
use rsntpd::wire::{Header, Mode};

fn restricted(target: RestrictTarget, flags: AccessFlags) -> Restrict {
    Restrict { target, flags, ntpport: false, origin: Origin::default() }
}

fn host(address: &str, flags: AccessFlags) -> Restrict {
    let mask = if address.contains(':') {
        ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
    } else {
        ip("255.255.255.255")
    };
    restricted(RestrictTarget::Net { address: ip(address), mask }, flags)
}

fn with_access(lines: Vec<Restrict>) -> Bench {
    let mut setup = setup(vec![local_clock()]);
    setup.config.restrict = lines;
    let mut bench = Bench::new(setup);
    bench.advance(1.0);
    bench
}

#[test]
fn replies_are_in_kind_for_all_versions() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    bench.run_served(30.0);
    for version in 1..=4 {
        let mode = if version == 1 { Mode::Reserved } else { Mode::Client };
        let asked = request(version, mode);
        let reply = bench.ask(&asked.to_bytes(), from("10.0.0.1:4000")).unwrap();
        let reply = Header::parse(&reply).unwrap();
        assert_eq!((reply.version.get(), reply.mode, reply.stratum), (version, Mode::Server, 2));
        assert_eq!((reply.origin, reply.poll, reply.leap), (asked.transmit, asked.poll, Leap::None));
        assert_eq!(reply.receive, bench.now().wall);
        assert!(!reply.reference.is_zero() && reply.root_dispersion.to_seconds().get() > 0.0);
    }
    let active = bench.ask(&request(4, Mode::SymmetricActive).to_bytes(), from("10.0.0.1:123")).unwrap();
    assert_eq!(Header::parse(&active).unwrap().mode, Mode::SymmetricPassive);
    for mode in [Mode::Server, Mode::Broadcast, Mode::SymmetricPassive, Mode::Private] {
        assert_eq!(bench.ask(&request(4, mode).to_bytes(), from("10.0.0.1:4000")), None);
    }
}

#[test]
fn before_synchronisation_the_answer_says_so() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    let reply = bench.ask(&request(4, Mode::Client).to_bytes(), from("10.0.0.1:4000")).unwrap();
    let reply = Header::parse(&reply).unwrap();
    assert_eq!((reply.leap, reply.stratum), (Leap::Unsynchronised, 0));
    assert_eq!(reply.reference_id.text(), b"INIT");
}

#[test]
fn access_flags_do_what_the_manual_says() {
    let mut bench = with_access(vec![
        restricted(RestrictTarget::Default(Family::Any), AccessFlags::IGNORE),
        host("10.0.0.1", AccessFlags::NOQUERY),
        host("10.0.0.2", AccessFlags::NOSERVE),
        host("10.0.0.3", AccessFlags::VERSION),
        host("10.0.0.4", AccessFlags::NOTRUST),
        host("2001:db8::1", AccessFlags::NONE),
    ]);
    let mut ask = |address: &str, version| {
        bench.ask(&request(version, Mode::Client).to_bytes(), from(address)).is_some()
    };
    assert!(!ask("192.0.2.77:4000", 4), "default ignore");
    assert!(ask("10.0.0.1:4000", 4));
    assert!(!ask("10.0.0.1:122", 4), "ports below 123 are no clients");
    assert!(!ask("10.0.0.2:4000", 4), "noserve");
    assert!(ask("10.0.0.3:4000", 4) && !ask("10.0.0.3:4000", 3), "version");
    assert!(!ask("10.0.0.4:4000", 4), "notrust without a code");
    assert!(ask("[2001:db8::1]:4000", 4) && !ask("[2001:db8::2]:4000", 4));
    assert!(!ask("10.0.0.99:123", 4), "our own address from port 123");
}

#[test]
fn noquery_gets_no_mode_6_answer() {
    let mut bench = with_access(vec![host("10.0.0.1", AccessFlags::NOQUERY)]);
    let packet = [0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    bench.deliver(&packet, from("10.0.0.1:4000"));
    assert!(bench.sent.is_empty());
    bench.deliver(&packet, from("10.0.0.2:4000"));
    assert_eq!(bench.sent.len(), 1);
}

#[test]
fn limited_clients_get_one_kiss_and_then_silence() {
    let flags = AccessFlags::LIMITED.union(AccessFlags::KOD);
    let mut bench = with_access(vec![restricted(RestrictTarget::Default(Family::Any), flags)]);
    let mut kisses = 0;
    let mut answers = 0;
    for i in 0..40 {
        bench.time = 10.0 + f64::from(i) * 0.25;
        if let Some(reply) = bench.ask(&request(4, Mode::Client).to_bytes(), from("10.0.0.1:4000")) {
            let reply = Header::parse(&reply).unwrap();
            if reply.stratum == 0 && reply.reference_id.text() == b"RATE" {
                kisses += 1;
                assert_eq!(reply.transmit, request(4, Mode::Client).transmit, "a kiss shows no clock");
            } else {
                answers += 1;
            }
        }
    }
    assert!((1..=2).contains(&kisses), "{kisses}");
    assert!(answers <= 5, "{answers}");
}

#[test]
fn signed_requests_get_signed_answers_and_bad_ones_a_crypto_nak() {
    let key = Key::new(KeyId(5), Digest::Sha1, b"abc".to_vec());
    let mut config = setup(vec![local_clock()]).config;
    config.auth.trusted = vec![KeyId(5)];
    let mut bench = Bench::new(Setup { config, keys: vec![key.clone()], ..Setup::default() });
    bench.advance(1.0);
    let mut keys = rsntpd::engine::auth::Keys::new(&[key], &[KeyId(5)]);
    let mut asked = request(4, Mode::Client).to_bytes().to_vec();
    assert!(keys.sign(KeyId(5), &mut asked));
    let reply = bench.ask(&asked, from("10.0.0.1:4000")).unwrap();
    assert_eq!(reply.len(), asked.len());
    assert!(matches!(
        keys.check(&reply, ip("10.0.0.99")),
        Ok(rsntpd::engine::auth::Authenticity::Verified(KeyId(5)))
    ));
    *asked.last_mut().unwrap() ^= 1;
    let reply = bench.ask(&asked, from("10.0.0.1:4000")).unwrap();
    assert_eq!((reply.len(), &reply[48..]), (52, &[0, 0, 0, 0][..]));
}

#[test]
fn a_key_with_addresses_is_good_for_those_only_and_notrust_wants_one() {
    let mut key = Key::new(KeyId(5), Digest::AesCmac, b"sixteen octets..".to_vec());
    key.hosts = vec![(ip("10.0.0.0"), 24)];
    let mut config = setup(vec![local_clock()]).config;
    config.auth.trusted = vec![KeyId(5)];
    config.restrict = vec![restricted(RestrictTarget::Default(Family::Any), AccessFlags::NOTRUST)];
    let mut bench = Bench::new(Setup { config, keys: vec![key.clone()], ..Setup::default() });
    bench.advance(1.0);
    let mut keys = rsntpd::engine::auth::Keys::new(&[key], &[KeyId(5)]);
    let mut asked = request(4, Mode::Client).to_bytes().to_vec();
    assert_eq!(bench.ask(&asked, from("10.0.0.1:4000")), None, "notrust without a code");
    assert!(keys.sign(KeyId(5), &mut asked));
    let reply = bench.ask(&asked, from("10.0.0.1:4000")).unwrap();
    let verified = rsntpd::engine::auth::Authenticity::Verified(KeyId(5));
    assert_eq!(keys.check(&reply, ip("10.0.0.99")), Ok(verified));
    assert_eq!((reply.len(), &reply[48..52]), (68, &[0, 0, 0, 5][..]));
    assert_eq!(bench.ask(&asked, from("10.0.1.1:4000")), None, "not on the list");
}
