//! Mode 6 from outside: the requests of real programs replayed, what needs a key, what must not be an
//! amplifier, and a long client list read while it changes.

mod clients;
mod clocks;
mod desk;
mod keys;
mod replay;
mod security;
mod variables;

use crate::bench::from;
use clients::arrive;
use desk::{Answer, Desk, ask, sign};
use proptest::prelude::*;
use rsntpd::units::KeyId;

fn packets() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "stratum",
        "kfreq",
        "nonce=",
        "frags=32",
        "limit=1",
        "addr.0=1.2.3.4:5",
        "last.0=0x1.2",
        "ifstats",
        "site=x",
        "server 192.0.2.5",
        "unpeer 1",
        "restrict default ignore",
        "%Y",
        "",
        "\u{ff}",
        ",,=,",
        "resall=0x1",
    ]);
    let data = prop_oneof![
        prop::collection::vec(words, 0..6).prop_map(|words| words.join(", ").into_bytes()),
        prop::collection::vec(any::<u8>(), 0..480),
    ];
    let signed = prop::sample::select(vec![None, Some(KeyId(7)), Some(KeyId(8)), Some(KeyId(9))]);
    (0u8..32, any::<u16>(), data, signed, prop::option::of((any::<prop::sample::Index>(), any::<u8>())))
        .prop_map(|(opcode, association, data, signed, change)| {
            let association = if association % 2 == 0 { 0 } else { association };
            let mut packet = ask(opcode, association, "");
            packet[10..12].copy_from_slice(&(data.len() as u16).to_be_bytes());
            packet.extend(data);
            packet.resize(packet.len().next_multiple_of(4), 0);
            if let Some(key) = signed {
                packet = sign(packet, key);
            }
            if let Some((at, octet)) = change {
                let at = at.index(packet.len());
                packet[at] = octet;
            }
            packet
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn any_packets_get_bounded_answers(packets in prop::collection::vec(packets(), 1..12)) {
        let mut desk = Desk::new(|_| {});
        arrive(&mut desk.bench, 0, 20);
        for packet in packets {
            let datagrams = desk.raw(&packet, from("127.0.0.1:4001"));
            prop_assert!(datagrams.len() <= 128);
            if let Some(answer) = Answer::join(&datagrams) {
                prop_assert!(answer.bits == 0x80 || answer.bits == 0xc0);
            }
        }
    }
}
