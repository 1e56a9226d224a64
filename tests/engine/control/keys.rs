//! What changes something: who may, with which key, and what becomes of it.

use crate::bench::{from, ip};
use rsntpd::config::model::{AccessFlags, Origin, Restrict, RestrictTarget};
use rsntpd::engine::auth::Keys;
use rsntpd::engine::report::event::Event;
use rsntpd::units::KeyId;
use sim::desk::{Answer, CONTROL_KEY, Desk, ask, keys, sign};

#[test]
fn errors_have_the_numbers_of_the_rfc() {
    let mut desk = Desk::new(|config| {
        let target = RestrictTarget::Net { address: ip("10.0.0.1"), mask: ip("255.255.255.255") };
        let flags = AccessFlags::NOMODIFY.union(AccessFlags::NOMRULIST);
        config.restrict = vec![Restrict { target, flags, ntpport: false, origin: Origin::default() }];
    });
    let id = desk.associations()[1];
    assert_eq!(desk.error(&ask(2, 0, "nonsense")), Some(5));
    assert_eq!(desk.error(&ask(2, 0, "stratum,nonsense")), Some(5));
    assert_eq!(desk.error(&ask(2, 1, "")), Some(4));
    assert_eq!(desk.error(&ask(4, id, "")), Some(4), "no clock");
    for opcode in [6, 7, 13, 30, 31] {
        assert_eq!(desk.error(&ask(opcode, 0, "")), Some(3), "traps, and what there is not: {opcode}");
    }
    let mut cut = ask(2, 0, "stratum");
    cut.truncate(16);
    assert_eq!(desk.error(&cut), Some(2));
    for opcode in [3, 5, 8, 9, 11] {
        assert_eq!(desk.error(&ask(opcode, 0, "x")), Some(1), "{opcode} without a key");
        assert_eq!(desk.error(&sign(ask(opcode, 0, "x"), KeyId(8))), Some(1), "{opcode} with another key");
    }
    assert_eq!(
        desk.error(&sign(ask(8, id, "x"), CONTROL_KEY)),
        Some(6),
        "configuration is not an association's"
    );
    let restricted = desk.raw(&sign(ask(8, 0, "server 192.0.2.5"), CONTROL_KEY), from("10.0.0.1:5"));
    assert_eq!(Answer::join(&restricted).unwrap().error(), Some(7));
    let restricted = desk.raw(&ask(10, 0, "nonce=x, frags=1"), from("10.0.0.1:5"));
    assert_eq!(Answer::join(&restricted).unwrap().error(), Some(7));
    assert!(desk.raw(&[0x2e, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], from("10.0.0.1:5")).is_empty(), "version 5");
}

#[test]
fn configuration_needs_the_control_key_and_changes_only_what_differs() {
    let mut desk = Desk::new(|_| {});
    let before = desk.associations();
    let mut forged = sign(ask(8, 0, "server 192.0.2.5 iburst"), CONTROL_KEY);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(desk.error(&forged), Some(1));
    assert_eq!(desk.associations(), before);
    let datagrams = desk.raw(&sign(ask(8, 0, "server 192.0.2.5 iburst"), CONTROL_KEY), from("10.0.0.1:5"));
    let answer = Answer::join(&datagrams).unwrap();
    assert_eq!(answer.text(), "0 found");
    // The answer is signed with the same key, behind a padding to eight octets.
    let at = (12 + answer.data.len()).next_multiple_of(8);
    let signed = sign(datagrams[0][..at].to_vec(), CONTROL_KEY);
    assert_eq!(datagrams[0], signed);
    let after = desk.associations();
    assert_eq!((after.len(), &after[..2]), (3, &before[..]));
    assert_eq!(
        desk.bench.happened(|e| matches!(e, Event::Mobilized(p) if p.address == ip("192.0.2.5").into())),
        1
    );
    desk.asked(&sign(ask(8, 0, "unpeer 192.0.2.5"), CONTROL_KEY));
    assert_eq!(desk.associations(), before);
    desk.asked(&sign(ask(8, 0, "restrict 10.0.0.7 noquery"), CONTROL_KEY));
    assert!(desk.raw(&ask(2, 0, ""), from("10.0.0.7:1000")).is_empty());
}

#[test]
fn every_kind_of_key_can_be_the_control_key() {
    for key in [KeyId(7), KeyId(8), KeyId(9)] {
        let mut desk = Desk::new(|config| config.auth.control = Some(key));
        assert_eq!(desk.error(&sign(ask(3, 0, "site=cellar"), key)), None);
        assert_eq!(desk.asked(&ask(2, 0, "site")).text(), "site=cellar\r\n");
        // RFC 9327 pads to four octets.
        let mut packet = ask(3, 0, "site=up");
        assert_eq!(packet.len() % 8, 4);
        packet.truncate(packet.len().next_multiple_of(4));
        assert!(Keys::new(&keys(), &[key]).sign(key, &mut packet));
        assert_eq!(desk.error(&packet), None);
    }
    let mut desk = Desk::new(|config| config.auth.control = None);
    assert_eq!(desk.error(&sign(ask(3, 0, "site=x"), CONTROL_KEY)), Some(1), "no controlkey, no writing");
}

#[test]
fn only_variables_of_the_configuration_can_be_written() {
    let mut desk = Desk::new(|_| {});
    let id = desk.associations()[0];
    let mut write = |data: &str, id| desk.error(&sign(ask(3, id, data), CONTROL_KEY));
    assert_eq!(write("site=cellar", 0), None);
    assert_eq!(write("site=x, leap=1", 0), Some(1));
    assert_eq!(write("nonsense=1", 0), Some(5));
    assert_eq!(write("site", 0), Some(2));
    assert_eq!(write("site=1", id), Some(1));
    assert_eq!(
        desk.error(&sign(ask(5, id, "stratum=3"), CONTROL_KEY)),
        Some(1),
        "clocks are fudged by configuration"
    );
    assert_eq!(desk.asked(&ask(2, 0, "site")).text(), "site=cellar\r\n", "all or nothing");
}

#[test]
fn saveconfig_and_ordered_lists() {
    let mut desk = Desk::new(|_| {});
    let saved = desk.asked(&sign(ask(9, 0, "now.conf"), CONTROL_KEY));
    assert_eq!(saved.text(), "saved now.conf");
    assert_eq!(desk.asked(&ask(2, 0, "savedconfig")).text(), "savedconfig=now.conf\r\n");
    let list = desk.asked(&sign(ask(11, 0, "addr_restrictions"), CONTROL_KEY));
    let items = list.items();
    let flags: Vec<_> =
        items.iter().filter(|(n, _)| n.starts_with("flags.")).map(|(_, v)| v.as_str()).collect();
    assert_eq!(flags, ["interface ntpport ignore", "", ""], "our address, then the defaults");
    assert!(list.value("hits.1").parse::<u64>().unwrap() > 0);
    assert_eq!(desk.error(&sign(ask(11, 0, "ifstats"), CONTROL_KEY)), None);
    assert_eq!(desk.error(&sign(ask(11, 0, "nonsense"), CONTROL_KEY)), Some(5));
}
