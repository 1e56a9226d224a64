//! Broadcast clients.

use crate::table::{Row, tried};
use rsntpd::engine::contract::ExitReason;
use rsntpd::engine::report::event::Event;
use sim::limits::{rms, within};
use sim::network::{Network, SERVER, client, forged};

pub const ROWS: &[Row] = &[
    Row {
        holes: "2015-7973, 2016-7427, 2016-7428, 2018-8956",
        rule: "a broadcast counts if it is signed, later than the last one and in time; one that is not keeps out no true one, and is not logged",
        tried: tried![cve_2015_7973_2016_7427_2016_7428_untrue_broadcasts_change_nothing],
    },
    Row {
        holes: "2016-1549",
        rule: "the same bounds for associations that broadcasts make",
        tried: tried![cve_2016_1549_broadcasts_of_one_key_make_three_associations],
    },
];

fn cve_2015_7973_2016_7427_2016_7428_untrue_broadcasts_change_nothing() {
    let run = |seed: u64, flood: bool| {
        let mut network = Network::new(seed, 1, "10.0.0.255", |_| {});
        network.run(1000.0);
        if flood {
            let (from, to) = ("10.0.0.1:123".parse().unwrap(), format!("{}:123", client(0)).parse().unwrap());
            let stranger = |n: u64| format!("172.16.{}.{}:123", n / 250 % 250, n % 250 + 1).parse().unwrap();
            for n in 0..10_000u64 {
                let at = 1000.0 + n as f64 * 0.3;
                // Our own key may only have been heard, which makes a replay: no new time is signed by it.
                let data = if n.is_multiple_of(5) { forged(900.0, n) } else { forged(at, n) };
                network.world.put(at, data, if n.is_multiple_of(2) { from } else { stranger(n) }, to);
            }
        }
        let errors = network.run(4500.0);
        let server: std::net::IpAddr = SERVER.parse().unwrap();
        let ended = network.times(0, |e| match e {
            Event::Demobilized(peer) | Event::Unreachable(peer) => peer.address.ip == server,
            _ => false,
        });
        assert!(ended.is_empty(), "{:?}", network.texts(0));
        let source = network.source(0).unwrap();
        (rms(&errors[0][500..]), source.reach().register())
    };
    within("times the rms without", 1.1, &[("10,000 packets", ())], |(), seed| {
        let (quiet, reach) = run(seed, false);
        let (flooded, under_attack) = run(seed, true);
        assert_eq!(reach, under_attack, "no sample is lost");
        flooded / quiet
    });
}

fn cve_2016_1549_broadcasts_of_one_key_make_three_associations() {
    let mut network = Network::new(1, 1, "10.0.0.255", |_| {});
    network.run(300.0);
    let to = format!("{}:123", client(0)).parse().unwrap();
    for n in 0..1000u64 {
        let from = format!("172.16.{}.{}:123", n / 250, n % 250 + 1).parse().unwrap();
        let at = 300.0 + n as f64 * 0.25;
        network.world.put(at, forged(at, 5 * (4 * n + 2)), from, to);
    }
    network.run(700.0);
    let (made, ended) = (
        network.times(0, |e| matches!(e, Event::Mobilized(_))).len(),
        network.times(0, |e| matches!(e, Event::Demobilized(_))).len(),
    );
    assert!(made - ended <= 3, "{:?}", network.texts(0));
    // Those that do not respond to the volley are no sources.
    assert_eq!(
        network.world.hosts[1]
            .engine
            .associations()
            .filter(|a| a.address == Some("10.0.0.1".parse().unwrap()))
            .count(),
        1
    );
    network.world.hosts[0].exit = Some(ExitReason::Shutdown);
}
