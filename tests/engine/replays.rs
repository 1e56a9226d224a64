//! Packets of symmetric and broadcast associations as real daemons (ntpd 4.2.6p5) sent them, byte for byte, and what ours answers: the
//! same as the other real daemon, as far as that is no time and no decision of docs/differences.md.

use crate::bench::{Bench, from, ip, setup};
use rsntpd::config::model::{Digest, Key, Kind, Server, Target};
use rsntpd::engine::auth::Keys;
use rsntpd::engine::contract::Setup;
use rsntpd::units::{KeyId, PollExponent};
use rsntpd::wire::{Header, Mode};

/// A packet of a capture.
struct Packet {
    from: String,
    data: Vec<u8>,
}

/// The packets below the heading that has these words; nothing, and a report, where the captures are missing.
fn captured(file: &str, heading: &str) -> Vec<Packet> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/modes").join(file);
    let Ok(text) = std::fs::read_to_string(path) else {
        skip::because("no ../shared/data/modes");
        return Vec::new();
    };
    let section = text.split("\n== ").find(|section| section.lines().next().unwrap().contains(heading));
    let mut packets: Vec<Packet> = Vec::new();
    let mut wanted = 0;
    for line in section.unwrap_or_else(|| panic!("no {heading} in {file}")).lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with("t=") {
            wanted = words.last().unwrap().parse().unwrap();
            packets.push(Packet { from: words[1].to_owned(), data: Vec::new() });
        } else if let Some(packet) = packets.last_mut().filter(|packet| packet.data.len() < wanted) {
            for word in words {
                packet.data.extend(u32::from_str_radix(word, 16).unwrap().to_be_bytes());
            }
        }
    }
    assert!(packets.iter().all(|packet| packet.data.len() >= 48), "{heading}");
    packets
}

/// The key of the captures is ours, too.
fn keyed(servers: Vec<Server>) -> Setup {
    let mut setup = setup(servers);
    setup.keys = vec![key()];
    setup.config.auth.trusted = vec![KeyId(1)];
    setup
}

fn key() -> Key {
    Key::new(KeyId(1), Digest::Md5, b"secretone".to_vec())
}

fn is_signed(data: &[u8]) -> bool {
    use rsntpd::engine::auth::Authenticity;
    let checked = Keys::new(&[key()], &[KeyId(1)]).check(data, ip("10.0.0.99"));
    checked.is_ok_and(|found| found == Authenticity::Verified(KeyId(1)))
}

/// What goes to that host until then.
fn sent_to(bench: &mut Bench, to: &str, until: f64) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let (to, sent) = (from(to), std::mem::take(&mut bench.sent));
        all.extend(sent.into_iter().filter(|tx| tx.to == to).map(|tx| tx.data));
        if !bench.advance(until) {
            return all;
        }
    }
}

#[test]
fn an_unsigned_packet_of_mode_1_gets_the_answer_that_ntpd_gives() {
    let packets = captured("symmetric-packets.txt", "unsigned mode 1 to a host without a peer line");
    let [question, theirs] = &packets[..] else { return };
    let mut bench = Bench::new(keyed(Vec::new()));
    let ours = bench.ask(&question.data, from(&question.from)).unwrap();
    assert_eq!(ours.len(), theirs.data.len());
    // Version and mode, the poll exponent, the origin.
    assert_eq!(ours[0] & 0x3f, theirs.data[0] & 0x3f);
    assert_eq!((ours[2], &ours[24..32]), (theirs.data[2], &theirs.data[24..32]));
    assert_eq!(bench.engine.associations().count(), 0);
}

#[test]
fn a_signed_one_makes_a_passive_association_that_answers_by_its_own_timer() {
    let request = captured("symmetric-packets.txt", "mode 1 that mobilises a passive association");
    let answer = captured("symmetric-packets.txt", "mode 2 of that passive association");
    let ([request], [theirs]) = (&request[..], &answer[..]) else { return };
    let mut bench = Bench::new(keyed(Vec::new()));
    assert!(bench.ask(&request.data, from(&request.from)).is_none(), "nothing at once");
    bench.deliver(&request.data, from(&request.from));
    assert_eq!(bench.engine.associations().count(), 1);
    let early = sent_to(&mut bench, &request.from, 15.9);
    let ours = sent_to(&mut bench, &request.from, 16.1);
    assert_eq!((early.len(), ours.len()), (0, 1), "16 s later, as ntpd");
    let ours = &ours[0];
    assert_eq!(ours.len(), theirs.data.len());
    // Leap 3, version, mode, stratum, poll; INIT; no reference time; the origin; the key.
    assert_eq!((&ours[..3], &ours[12..16]), (&theirs.data[..3], &theirs.data[12..16]));
    assert_eq!((&ours[16..32], &ours[48..52]), (&theirs.data[16..32], &theirs.data[48..52]));
    assert!(is_signed(ours) && is_signed(&theirs.data));
    // The same packet once more is a duplicate; a changed one is a forgery. Neither ends anything.
    bench.deliver(&request.data, from(&request.from));
    let mut forged = request.data.clone();
    forged[47] ^= 1;
    bench.deliver(&forged, from(&request.from));
    assert_eq!(bench.engine.associations().count(), 1);
}

#[test]
fn a_crypto_nak_in_mode_1_is_of_no_use() {
    let packets = captured("symmetric-packets.txt", "crypto-NAK that a passive host sends");
    let [nak] = &packets[..] else { return };
    let mut bench = Bench::new(keyed(Vec::new()));
    assert!(bench.ask(&nak.data, from(&nak.from)).is_none());
    bench.deliver(&nak.data, from(&nak.from));
    assert_eq!(bench.engine.associations().count(), 0);
    assert!(sent_to(&mut bench, &nak.from, 60.0).is_empty());
}

#[test]
fn the_first_packet_of_a_partner_is_answered_by_the_next_one_of_ours() {
    let first = captured("symmetric-packets.txt", "first packet of an active association");
    let [first] = &first[..] else { return };
    let address = Target::Address(from(&first.from).ip());
    let poll = PollExponent::new(6);
    let partner = Server { minpoll: poll, maxpoll: poll, ..Server::new(Kind::Peer, address) };
    let mut bench = Bench::new(keyed(vec![partner]));
    sent_to(&mut bench, &first.from, 2.0);
    bench.deliver(&first.data, from(&first.from));
    let arrived = bench.now().wall;
    let ours = sent_to(&mut bench, &first.from, 72.0);
    let ours = Header::parse(&ours[0]).unwrap();
    let theirs = Header::parse(&first.data).unwrap();
    assert_eq!((ours.mode, ours.origin), (Mode::SymmetricActive, theirs.transmit));
    assert_eq!(ours.receive, arrived);
}

#[test]
fn a_broadcast_begins_a_volley_signed_as_it_was() {
    for (heading, asks, key) in [
        ("mode 5, unsigned, default poll", "volley (unsigned server)", None),
        ("mode 5, key 1, minpoll 4", "volley (signed server", Some(KeyId(1))),
    ] {
        let heard = captured("broadcast-packets.txt", heading);
        let volley = captured("broadcast-packets.txt", asks);
        let ([heard, ..], [question, answer, ..]) = (&heard[..], &volley[..]) else { return };
        let mut setup = keyed(Vec::new());
        setup.config.reception.broadcastclient = true;
        setup.config.enable.auth = key.is_some();
        let mut bench = Bench::new(setup);
        bench.deliver(&heard.data, from(&heard.from));
        assert_eq!(bench.engine.associations().count(), 1, "{heading}");
        let ours = &sent_to(&mut bench, &heard.from, 1.0)[0];
        assert_eq!(
            (ours.len(), ours[0] & 0x3f, ours[2]),
            (question.data.len(), question.data[0] & 0x3f, question.data[2])
        );
        assert_eq!(is_signed(ours), key.is_some());
        // An answer to another host's question is none to ours.
        bench.deliver(&answer.data, from(&answer.from));
        let id = bench.engine.associations().next().unwrap().id;
        assert!(!bench.engine.source(id).unwrap().reach().is_reachable(), "{heading}");
    }
}
