//! Associations: what is counted of them, and which of them there are.

use crate::bench::{Bench, server, setup};
use rsntpd::engine::report::event::Event;
use rsntpd::units::RefId;
use rsntpd::wire::Header;

#[test]
fn a4_events_of_an_association_are_counted_while_they_differ() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    let status = |bench: &mut Bench| {
        let pairs = bench.control(1, 0, "");
        u16::from_be_bytes([pairs[2], pairs[3]])
    };
    assert_eq!(status(&mut bench) & 0xff, 0x11, "mobilize is the first");
    bench.run_served(20.0);
    assert_eq!(status(&mut bench), 0x963a, "reachable the second, sys_peer the third");
    let line = |e: &Event| e.text() == "192.0.2.1 963a 8a sys_peer";
    assert_eq!(bench.happened(line), 1);
    // Unreachable, reachable, sys_peer, and so on: all of them differ from the one before.
    let mut seen = Vec::new();
    for _ in 0..5 {
        let end = bench.time + 5_000.0;
        bench.run(end, |_, _| None);
        seen.push(status(&mut bench) & 0xff);
        bench.run_served(end + 5_000.0);
        seen.push(status(&mut bench) & 0xff);
    }
    // At 15 others are ignored, and the same event once more begins the count again, as in ntpd.
    assert_eq!(seen, [0x43, 0x6a, 0x73, 0x9a, 0xa3, 0xca, 0xd3, 0xfa, 0xfa, 0x1a], "{seen:x?}");
}

#[test]
fn a4_a_repeated_event_begins_the_count_again() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
    let kissed = |bench: &mut Bench| {
        bench.sent.clear();
        while bench.sent.is_empty() {
            bench.advance(bench.time + 5_000.0);
        }
        let tx = bench.sent.remove(0);
        let mut kiss = bench.reply(&Header::parse(&tx.data).unwrap(), 0);
        kiss.reference_id = RefId::from_text(b"RATE");
        bench.deliver(&kiss.to_bytes(), tx.to);
        let pairs = bench.control(1, 0, "");
        u16::from_be_bytes([pairs[2], pairs[3]]) & 0xff
    };
    assert_eq!([(); 4].map(|()| kissed(&mut bench)), [0x27, 0x17, 0x17, 0x17]);
}
