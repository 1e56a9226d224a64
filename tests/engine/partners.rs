//! Symmetric modes: hosts that are each other's partner. Each limit is a number; every world is its seed.

use rsntpd::config::model::{Kind, Server};
use rsntpd::engine::contract::Setup;
use rsntpd::engine::report::event::Event;
use rsntpd::units::{PollExponent, Stratum};
use rsntpd::wire::Mode;
use sim::limits::{rms, within};
use sim::pair::{
    A, B, Pair, broken, configured_and_passive, interleaving, lan, line, one_with_servers, server, signed,
};

#[test]
fn a_partner_without_servers_follows_the_one_that_has_some() {
    within("us rms after 10 min", 1000.0, &[("both configured", ())], |(), seed| {
        let (a, b) = one_with_servers(3, |_| {});
        let mut pair = Pair::new(seed, a, b);
        let errors = pair.run(100_000.0);
        assert!(errors[600..].iter().all(|e| e.abs() < 1e-3), "{:?}", pair.texts(1));
        assert_eq!((pair.stratum(0), pair.stratum(1)), (2, 3), "{:?}", pair.texts(1));
        assert_eq!(pair.partner(1).peer_mode(), Some(Mode::SymmetricActive), "both are configured");
        rms(&errors[3600..]) * 1e6
    });
}

#[test]
fn it_keeps_time_about_as_well_as_a_client_of_the_same_host() {
    within("times a client's rms", 2.0, &[("lan", ())], |(), seed| {
        let (a, b) = one_with_servers(3, |_| {});
        let mut as_partner = Pair::new(seed, a.clone(), b);
        let partner = rms(&as_partner.run(100_000.0)[3600..]);
        let packets = as_partner.world.hosts[1].sent;
        let mut b = Setup::default();
        b.config.servers = vec![line(Kind::Server, A)];
        let mut as_client = Pair::new(seed, a, b);
        let client = rms(&as_client.run(100_000.0)[3600..]);
        assert!(packets <= 2 * as_client.world.hosts[1].sent, "{packets} packets");
        partner / client
    });
}

#[test]
fn partners_that_lose_their_servers_never_follow_each_other() {
    within("stratum", 2.0, &[("three servers each", 3), ("one server each", 1)], |&servers, seed| {
        let (mut a, mut b) = one_with_servers(servers, |_| {});
        b.config.servers.extend(a.config.servers.iter().filter(|s| s.kind == Kind::Server).cloned());
        a.config.tos.minclock = 3;
        let mut pair = Pair::new(seed, a, b);
        for server in &mut pair.world.servers {
            server.answers = Box::new(|time| time < 3600.0);
        }
        pair.run(3600.0);
        assert_eq!((pair.stratum(0), pair.stratum(1)), (2, 2));
        let before = pair.says(1).root_dispersion;
        let mut most = 0;
        while pair.world.time < 40_000.0 {
            let next = pair.world.time + 60.0;
            pair.run(next);
            most = most.max(pair.stratum(0)).max(pair.stratum(1));
        }
        assert!(pair.says(1).root_dispersion > before, "the error bound grows");
        f64::from(most)
    });
}

#[test]
fn a_key_makes_a_passive_association_and_silence_ends_it() {
    within("polls of 16 s", 17.5, &[("passive", ())], |(), seed| {
        let (a, b) = configured_and_passive();
        let mut pair = Pair::new(seed, a, b);
        pair.run(2000.0);
        assert_eq!(pair.stratum(0), 3, "it follows its partner: {:?}", pair.texts(0));
        assert_eq!(pair.times(1, |e| matches!(e, Event::Mobilized(_))).len(), 2, "{:?}", pair.texts(1));
        // The first host goes away.
        let gone = pair.world.time;
        pair.world.connect(A, B, broken());
        pair.world.hosts[0].exit = Some(rsntpd::engine::contract::ExitReason::Shutdown);
        pair.run(gone + 800.0);
        let ended = pair.times(1, |e| matches!(e, Event::Demobilized(_)));
        assert_eq!(ended.len(), 1, "{:?}", pair.texts(1));
        assert!(pair.texts(1).iter().any(|t| t.contains("restart timeout")), "{:?}", pair.texts(1));
        let polls = (ended[0] - gone) / 16.0;
        if polls < 15.0 { f64::INFINITY } else { polls }
    });
}

#[test]
fn a_reload_adds_and_removes_what_is_configured_and_keeps_what_packets_made() {
    use rsntpd::engine::contract::Input;
    let (_, b) = configured_and_passive();
    let mut bench = crate::bench::Bench::new(b.clone());
    bench.deliver(&signed(5), "172.16.0.9:123".parse().unwrap());
    let addresses = |bench: &crate::bench::Bench| -> Vec<String> {
        bench.engine.associations().filter_map(|a| a.address).map(|ip| ip.to_string()).collect()
    };
    assert_eq!(addresses(&bench), ["192.0.2.1", "172.16.0.9"]);
    let mut with_more = b.clone();
    let network = line(Kind::Broadcast, "10.0.0.255");
    with_more.config.servers.extend([line(Kind::Peer, "192.0.2.1"), line(Kind::Peer, A), network]);
    bench.input(Input::Reload(Box::new(with_more)));
    // A host may be a server and a peer.
    assert_eq!(addresses(&bench), ["192.0.2.1", "172.16.0.9", "192.0.2.1", A, "10.0.0.255"]);
    bench.input(Input::Reload(Box::new(b)));
    assert_eq!(addresses(&bench), ["192.0.2.1", "172.16.0.9"]);
}

#[test]
fn without_a_key_a_stranger_is_answered_and_nothing_is_kept() {
    let mut b = Setup::default();
    b.config.servers = vec![line(Kind::Server, &server(1))];
    let mut a = Setup::default();
    a.config.servers = vec![line(Kind::Peer, B)];
    let mut pair = Pair::new(1, a, b);
    pair.run(3000.0);
    assert_eq!(pair.stratum(0), 3, "the answers are enough: {:?}", pair.texts(0));
    assert_eq!(pair.times(1, |e| matches!(e, Event::Mobilized(_))).len(), 1, "{:?}", pair.texts(1));
}

#[test]
fn a_partner_that_was_off_for_a_day_is_used_again_soon() {
    within("s", 2.0 * 1024.0, &[("a day", ())], |(), seed| {
        let (a, b) = one_with_servers(3, |_| {});
        let mut pair = Pair::new(seed, a, b);
        pair.run(5000.0);
        pair.world.connect(A, B, broken());
        pair.world.connect(B, A, broken());
        pair.run(5000.0 + 86_400.0);
        let back = pair.world.time;
        pair.world.connect(A, B, lan(seed, 9));
        pair.world.connect(B, A, lan(seed, 8));
        pair.run(back + 6000.0);
        let again = pair.times(1, |e| matches!(e, Event::Reachable(_)));
        assert_eq!(Stratum::new(pair.stratum(1)), Stratum::new(3));
        again.iter().rev().find(|at| **at > back).map_or(f64::INFINITY, |at| at - back)
    });
}

#[test]
fn interleaved_packets_measure_without_the_delay_of_sending() {
    within("times the jitter of basic mode", 0.5, &[("both sides", ())], |(), seed| {
        let jitter = |xleave| {
            let mut pair = interleaving(seed, [xleave; 2], 0.0);
            let (mut sum, mut count) = (0.0, 0.0);
            while pair.world.time < 10_000.0 {
                pair.run(pair.world.time + 64.0);
                if pair.world.time > 2000.0 {
                    sum += pair.partner(1).filter().jitter().get();
                    count += 1.0;
                }
            }
            sum / count
        };
        jitter(true) / jitter(false)
    });
}

#[test]
fn a_passive_partner_of_one_that_gets_the_time_late_is_not_starved() {
    within("polls of 16 s after the first 200 s", 5.0, &[("minpoll 4 maxpoll 6", ())], |(), seed| {
        let (mut a, mut b) = configured_and_passive();
        let poll = PollExponent::new(4);
        a.config.servers[0].maxpoll = PollExponent::new(6);
        let own = Server { iburst: true, minpoll: poll, maxpoll: poll, ..line(Kind::Server, &server(1)) };
        a.config.servers.push(own);
        b.config.servers.clear();
        let mut pair = Pair::new(seed, a, b);
        // Too far from the time to be used, and then not.
        pair.world.servers[0].root_dispersion = 8.0;
        pair.run(200.0);
        assert_eq!((pair.stratum(0), pair.stratum(1)), (0, 0), "{:?}", pair.texts(0));
        pair.world.servers[0].root_dispersion = 0.0;
        while pair.stratum(1) != 3 && pair.world.time < 1000.0 {
            pair.run(pair.world.time + 1.0);
        }
        (pair.world.time - 200.0) / 16.0
    });
}
