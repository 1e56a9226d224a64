//! Pools: how the addresses of a name become servers, how many, how fast, and what a forger cannot do to them.

mod forged;
mod simulated;

use crate::bench::{Bench, from, ip, request, server, setup};
use crate::names::{addresses, duplicates, hosts, lookups, named, run};
use rsntpd::config::model::{AccessFlags, Config, Kind, Origin, Restrict, RestrictTarget, Server};
use rsntpd::engine::contract::{ExitReason, Input, LookupError, Output, Setup};
use rsntpd::engine::report::event::Event;
use rsntpd::units::{Host, PollExponent};
use rsntpd::wire::{Header, Mode};
use std::net::IpAddr;

fn pool() -> Server {
    named(Kind::Pool, "p.example")
}

/// The name of the pool has these addresses, whoever asks.
fn of(all: &'static [&'static str]) -> impl Fn(&str, f64) -> Result<Vec<Host>, LookupError> {
    move |_, _| Ok(hosts(all))
}

const THREE: &[&str] = &["192.0.2.1", "192.0.2.2", "192.0.2.3"];

/// A pool that has been resolved and whose first packets have left, but have got no response.
fn soliciting(setup: Setup, all: &'static [&'static str]) -> Bench {
    let mut bench = Bench::new(setup);
    for (id, _) in lookups(&mut bench) {
        bench.input(Input::Resolved { id, result: Ok(hosts(all)) });
    }
    while bench.advance(1.0) {}
    bench
}

/// The packet that was sent to this address last.
fn sent_to(bench: &Bench, address: &str) -> Header {
    let tx = bench.sent.iter().rev().find(|tx| tx.to.ip() == ip(address)).unwrap();
    Header::parse(&tx.data).unwrap()
}

/// Twelve addresses.
fn many() -> Vec<Host> {
    (1..=12).map(|n| ip(&format!("192.0.2.{n}")).into()).collect()
}

fn restricted(lines: &[(RestrictTarget, AccessFlags)]) -> Setup {
    let line = |(target, flags): &(RestrictTarget, AccessFlags)| Restrict {
        target: target.clone(),
        flags: *flags,
        ntpport: false,
        origin: Origin::default(),
    };
    let mut setup = setup(vec![pool()]);
    setup.config.restrict = lines.iter().map(line).collect();
    setup
}

#[test]
fn a_pool_is_shown_as_ntpd_4_2_8_shows_it_and_its_servers_as_not_configured() {
    let mut bench = Bench::new(setup(vec![pool()]));
    run(&mut bench, 300.0, of(THREE), |_, _| true);
    let shown = |bench: &mut Bench, name: &str| bench.variable(Some(0), name);
    for (name, value) in [
        ("srcadr", "0.0.0.0"),
        ("srchost", "\"p.example\""),
        ("srcport", "0"),
        ("refid", "POOL"),
        ("hmode", "3"),
        ("pmode", "0"),
        ("stratum", "16"),
        ("reach", "0x0"),
        ("unreach", "0"),
        ("flash", "0x1200"),
        ("config", "1"),
    ] {
        assert_eq!(shown(&mut bench, name), value, "{name}");
    }
    let ids: Vec<_> = bench.engine.associations().map(|a| a.id).collect();
    let status = |bench: &Bench, n: usize| bench.engine.source(ids[n]).unwrap().status();
    assert_eq!(status(&bench, 0), 0x8811, "conf, bcast, mobilize");
    for n in 1..=3 {
        assert_eq!(status(&bench, n) & 0xf800, 0x1000, "reachable, not configured");
        assert_eq!(bench.variable(Some(n), "srchost"), "");
        assert_eq!(bench.variable(Some(n), "config"), "0");
    }
    let all = String::from_utf8(bench.control(2, ids[0].0, "")).unwrap();
    assert!(all.starts_with("srcadr=0.0.0.0, srcport=0, srchost=\"p.example\", dstadr=0.0.0.0"), "{all}");
    assert_eq!(addresses(&mut bench), ["0.0.0.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(bench.happened(|e| e.text() == "Soliciting pool server 192.0.2.2"), 1);
    assert_eq!(bench.happened(|e| e.text().starts_with("192.0.2.2 0011 81 mobilize assoc")), 1);
}

#[test]
fn at_the_start_the_first_packet_is_the_first_of_the_burst() {
    let times = |line: Server| {
        let mut bench = Bench::new(setup(vec![line]));
        let mut times = Vec::new();
        let all = many();
        loop {
            for (id, _) in lookups(&mut bench) {
                bench.input(Input::Resolved { id, result: Ok(all.clone()) });
            }
            for tx in std::mem::take(&mut bench.sent) {
                let reply = bench.reply(&Header::parse(&tx.data).unwrap(), 1);
                bench.deliver(&reply.to_bytes(), tx.to);
                times.push((bench.time, tx.to.ip()));
            }
            if !bench.advance(60.0) {
                return (bench, times);
            }
        }
    };
    let (mut bench, of_pool) = times(pool());
    let firsts = |times: &[(f64, IpAddr)], until: f64| times.iter().filter(|(at, _)| *at < until).count();
    assert_eq!(firsts(&of_pool, 1.0), 10, "all servers that are wanted are solicited within a second");
    assert_eq!(addresses(&mut bench).len(), 11);
    assert_eq!(bench.happened(|e| matches!(e, Event::ClockSync)), 1);
    // As many packets as a server line sends, at the same times.
    let of_one = |times: &[(f64, IpAddr)], address: &str| -> Vec<f64> {
        let own: Vec<f64> = times.iter().filter(|(_, to)| *to == ip(address)).map(|(at, _)| *at).collect();
        own.iter().map(|at| at - own[0]).collect()
    };
    let (_, of_server) = times(server("192.0.2.1"));
    let (ours, theirs) = (of_one(&of_pool, "192.0.2.1"), of_one(&of_server, "192.0.2.1"));
    assert_eq!(ours.len(), theirs.len(), "{ours:?} {theirs:?}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours - theirs).abs() < 0.01, "{ours} {theirs}");
    }
}

#[test]
fn a_lost_first_packet_is_sent_again_as_in_a_burst() {
    let mut bench = soliciting(setup(vec![pool()]), THREE);
    let before = bench.sent.len();
    assert_eq!(before, 3, "one packet to each address");
    while bench.advance(3.5) {}
    assert_eq!(bench.sent.len() - before, 3, "2 s later another one");
    // Responses to the first packets count as well as to the second ones.
    let late = Header::parse(&bench.sent[0].data).unwrap();
    let (late, to) = (bench.reply(&late, 1).to_bytes(), bench.sent[0].to);
    bench.deliver(&late, to);
    assert_eq!(addresses(&mut bench), ["0.0.0.0", "192.0.2.1"]);
    while bench.advance(60.0) {}
    let solicited = |e: &Event| matches!(e, Event::Soliciting(_));
    assert_eq!(bench.happened(solicited), 3, "each is logged once");
    let to_dead = bench.sent.iter().filter(|tx| tx.to.ip() == ip("192.0.2.2")).count();
    assert_eq!(to_dead, 3, "then it is left alone until the next lookup");
}

#[test]
fn e28_pools_that_share_addresses_take_each_once() {
    let pools = vec![pool(), named(Kind::Pool, "q.example"), server("192.0.2.3")];
    let mut bench = Bench::new(setup(pools));
    let dns = |name: &str, _: f64| {
        let all: &[&str] = &["192.0.2.2", "192.0.2.3", "192.0.2.4"];
        Ok(hosts(if name == "p.example" { &["192.0.2.1", "192.0.2.2"] } else { all }))
    };
    run(&mut bench, 300.0, dns, |_, _| true);
    let all = ["0.0.0.0", "0.0.0.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    assert_eq!(addresses(&mut bench), all);
    assert_eq!(duplicates(&bench), 0);
}

#[test]
fn a_line_takes_the_place_of_a_pools_server_with_its_address() {
    let mut bench = Bench::new(setup(vec![pool()]));
    run(&mut bench, 100.0, of(THREE), |_, _| true);
    let named = named(Kind::Server, "b.example");
    let both = vec![pool(), server("192.0.2.1"), named];
    bench.input(Input::Reload(Box::new(setup(both))));
    let dns = |name: &str, _: f64| Ok(hosts(if name == "b.example" { &["192.0.2.2"] } else { THREE }));
    run(&mut bench, 200.0, dns, |_, _| true);
    assert_eq!(addresses(&mut bench), ["0.0.0.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let configured = |bench: &mut Bench| (0..4).filter(|i| bench.variable(Some(*i), "config") == "1").count();
    assert_eq!(configured(&mut bench), 3, "the pool and two lines");
    assert_eq!(duplicates(&bench), 0);
}

#[test]
fn e8_dead_members_of_a_pool_are_replaced() {
    let mut bench = Bench::new(setup(vec![pool()]));
    let dead = ["192.0.2.1", "192.0.2.3"].map(ip);
    let dns = |_: &str, now: f64| {
        let later: &[&str] = &["192.0.2.2", "192.0.2.4", "192.0.2.1", "192.0.2.5"];
        Ok(hosts(if now < 10.0 { THREE } else { later }))
    };
    run(&mut bench, 400.0, dns, |to, _| !dead.contains(&to));
    assert_eq!(addresses(&mut bench), ["0.0.0.0", "192.0.2.2", "192.0.2.4", "192.0.2.5"]);
    for i in 1..4 {
        assert_ne!(bench.variable(Some(i), "reach"), "0x0");
    }
}

#[test]
fn a_server_that_dies_gives_way_to_another_even_without_one_too_many() {
    let line = Server { maxpoll: PollExponent::new(6), ..pool() };
    let mut bench = Bench::new(setup(vec![line]));
    bench.input(Input::Reload(Box::new(Setup { config: few(4), ..setup(vec![]) })));
    let dns = |_: &str, _: f64| Ok(many());
    let alive = |to: IpAddr, now: f64| to != ip("192.0.2.2") || now < 1000.0;
    run(&mut bench, 1000.0, dns, alive);
    let first = ["0.0.0.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    assert_eq!(addresses(&mut bench), first, "tos maxclock 4, which the pool itself does not count for");
    run(&mut bench, 1000.0 + 30.0 * 64.0, dns, alive);
    let then = ["0.0.0.0", "192.0.2.1", "192.0.2.3", "192.0.2.4", "192.0.2.5"];
    assert_eq!(addresses(&mut bench), then);
    let texts: Vec<String> = bench.events.iter().map(Event::text).collect();
    let at = |text: &str| texts.iter().position(|line| line.starts_with("192.0.2.2") && line.contains(text));
    let (lost, ended) = (at("83 unreachable").unwrap(), at("85 restart timeout").unwrap());
    let another = texts.iter().position(|text| text == "Soliciting pool server 192.0.2.5").unwrap();
    assert!(lost < another && another < ended, "{texts:#?}");
    assert!(texts[ended + 1].contains("82 demobilize assoc"), "{texts:#?}");
}

#[test]
fn a_server_without_a_replacement_is_given_up_after_24_polls() {
    let line = Server { maxpoll: PollExponent::new(6), ..pool() };
    let mut bench = Bench::new(setup(vec![line]));
    let alive = |to: IpAddr, now: f64| to != ip("192.0.2.2") || now < 1000.0;
    for (polls, servers) in [(23.0, 3), (30.0, 2)] {
        run(&mut bench, 1000.0 + polls * 64.0, of(THREE), alive);
        assert_eq!(addresses(&mut bench).len() - 1, servers, "{polls} polls");
    }
}

/// A pool of as many servers as `tos maxclock` says.
fn few(maxclock: u32) -> Config {
    let mut config =
        Config { servers: vec![Server { maxpoll: PollExponent::new(6), ..pool() }], ..Config::default() };
    config.tos.maxclock = maxclock;
    config
}

#[test]
fn all_stay_while_the_network_is_down() {
    let mut bench = Bench::new(setup(vec![Server { maxpoll: PollExponent::new(6), ..pool() }]));
    let down = 1000.0..100_000.0;
    let dns = |_: &str, now: f64| {
        if down.contains(&now) { Err(LookupError { text: "none".to_owned() }) } else { Ok(hosts(THREE)) }
    };
    run(&mut bench, 99_000.0, dns, |_, now| !down.contains(&now));
    assert_eq!(addresses(&mut bench), ["0.0.0.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(bench.happened(|e| matches!(e, Event::NameFailed { .. })), 0, "it has servers to poll");
    run(&mut bench, 100_500.0, dns, |_, now| !down.contains(&now));
    for i in 1..4 {
        assert_ne!(bench.variable(Some(i), "reach"), "0x0");
    }
}

#[test]
fn a_dead_pool_costs_ever_fewer_packets_lookups_and_lines() {
    let mut bench = Bench::new(setup(vec![pool()]));
    let count = std::cell::Cell::new(0);
    let dns = |_: &str, _: f64| {
        count.set(count.get() + 1);
        Ok(hosts(THREE))
    };
    run(&mut bench, 3_600.0, dns, |_, _| false);
    let first_hour = count.replace(0);
    run(&mut bench, 86_400.0, dns, |_, _| false);
    assert!(first_hour < 15 && count.get() < 180, "{first_hour} {}", count.get());
    assert!(bench.happened(|e| matches!(e, Event::Soliciting(_))) < 600);
    // When it is back, so are we.
    run(&mut bench, 86_400.0 + 1_000.0, dns, |_, _| true);
    assert_eq!(bench.variable(None, "stratum"), "2");
    // A pool that has no more servers is hardly asked for more.
    count.set(0);
    run(&mut bench, 2.0 * 86_400.0, dns, |_, _| true);
    assert!(count.get() < 40, "{}", count.get());
}

#[test]
fn a_name_that_does_not_resolve_at_first_is_looked_up_again() {
    let mut bench = Bench::new(setup(vec![pool()]));
    let dns = |_: &str, now: f64| {
        if now < 30.0 { Err(LookupError { text: "no network".to_owned() }) } else { Ok(hosts(THREE)) }
    };
    run(&mut bench, 100.0, dns, |_, _| true);
    assert!(bench.happened(|e| matches!(e, Event::NameFailed { .. })) > 0);
    assert_eq!(addresses(&mut bench).len(), 4);
    assert_eq!(bench.variable(None, "stratum"), "2");
}

#[test]
fn without_survivors_more_than_maxclock_are_taken_but_never_twice_as_many() {
    let mut bench = Bench::new(Setup { config: few(4), ..Setup::default() });
    // All that respond contradict each other.
    let mut most = 0;
    loop {
        for (id, _) in lookups(&mut bench) {
            bench.input(Input::Resolved { id, result: Ok(many()) });
        }
        for tx in std::mem::take(&mut bench.sent) {
            let IpAddr::V4(to) = tx.to.ip() else { panic!() };
            let mut reply = bench.reply(&Header::parse(&tx.data).unwrap(), 1);
            let off = rsntpd::units::Seconds::new(f64::from(to.octets()[3]) * 10.0);
            (reply.receive, reply.transmit) = (reply.receive.offset(off), reply.transmit.offset(off));
            bench.deliver(&reply.to_bytes(), tx.to);
        }
        most = most.max(bench.engine.associations().count());
        if !bench.advance(10_000.0) {
            break;
        }
    }
    assert!((6..=8).contains(&most), "{most}");
}

#[test]
fn restrict_default_nopeer_does_not_keep_a_pool_empty() {
    let default = RestrictTarget::Default(rsntpd::config::model::Family::Any);
    let mut bench = Bench::new(restricted(&[(default, AccessFlags::NOPEER)]));
    run(&mut bench, 100.0, of(THREE), |_, _| true);
    assert_eq!(addresses(&mut bench).len(), 4);
}

#[test]
fn restrict_source_lets_the_response_of_a_solicited_address_in() {
    let default = || RestrictTarget::Default(rsntpd::config::model::Family::Any);
    for (source, servers) in [(true, 4), (false, 1)] {
        let mut lines = vec![(default(), AccessFlags::IGNORE)];
        if source {
            lines.push((RestrictTarget::Source, AccessFlags::NOMODIFY));
        }
        lines.push((
            RestrictTarget::Net { address: ip("127.0.0.1"), mask: ip("255.255.255.255") },
            AccessFlags::NONE,
        ));
        let mut bench = Bench::new(restricted(&lines));
        run(&mut bench, 100.0, of(THREE), |_, _| true);
        assert_eq!(addresses(&mut bench).len(), servers);
        // An address that does not respond is let in for seconds, not for good.
        let mut dead = Bench::new(restricted(&lines));
        run(&mut dead, 30.0, of(THREE), |_, _| false);
        let asks = request(4, Mode::Client).to_bytes();
        assert_eq!(dead.ask(&asks, from("192.0.2.1:123")), None);
    }
}

#[test]
fn the_end_of_a_pool_is_the_end_of_its_servers_and_options_reach_them() {
    let mut bench = Bench::new(setup(vec![pool(), server("192.0.2.9")]));
    run(&mut bench, 100.0, of(THREE), |_, _| true);
    let slower = Server { minpoll: PollExponent::new(7), noselect: true, ..pool() };
    bench.input(Input::Reload(Box::new(setup(vec![slower.clone(), server("192.0.2.9")]))));
    run(&mut bench, 3000.0, of(THREE), |_, _| true);
    assert_eq!(addresses(&mut bench).len(), 5, "nothing was made anew");
    let positions: Vec<usize> =
        (0..5).filter(|i| bench.variable(Some(*i), "srcadr").ends_with(['1', '2', '3'])).collect();
    for i in positions {
        assert_eq!(bench.variable(Some(i), "candidate"), "0", "noselect");
        assert!(bench.variable(Some(i), "hpoll").parse::<u8>().unwrap() >= 7);
    }
    // `unpeer` of one of its servers: the pool finds it again, or another one.
    let one = bench.engine.associations().find(|a| a.address == Some(ip("192.0.2.1"))).unwrap().id;
    let unpeer = Setup { unpeered: vec![one], ..setup(vec![slower, server("192.0.2.9")]) };
    bench.input(Input::Reload(Box::new(unpeer)));
    assert_eq!(addresses(&mut bench), ["0.0.0.0", "192.0.2.2", "192.0.2.3", "192.0.2.9"]);
    run(&mut bench, 3200.0, of(THREE), |_, _| true);
    assert_eq!(addresses(&mut bench).len(), 5);
    bench.input(Input::Reload(Box::new(setup(vec![server("192.0.2.9")]))));
    assert_eq!(addresses(&mut bench), ["192.0.2.9"]);
    run(&mut bench, 4000.0, |_, _| panic!("looked up"), |_, _| true);
    assert_eq!(addresses(&mut bench), ["192.0.2.9"]);
}

#[test]
fn with_q_a_pool_sets_the_clock_or_gives_up_soon() {
    let exit = |bench: &Bench| {
        bench.others.iter().find_map(|o| if let Output::Exit(why) = o { Some(*why) } else { None })
    };
    for (alive, resolves_at, why) in [
        (true, 0.0, ExitReason::ClockSet),
        (true, 20.0, ExitReason::ClockSet),
        (false, 0.0, ExitReason::NoServer),
    ] {
        let mut bench = Bench::new(Setup { quit_after_set: true, ..setup(vec![pool()]) });
        bench.behind = 0.01;
        let dns = |_: &str, now: f64| {
            if now < resolves_at { Err(LookupError { text: "no".to_owned() }) } else { Ok(hosts(THREE)) }
        };
        run(&mut bench, 100.0, dns, |_, _| alive);
        assert_eq!(exit(&bench), Some(why), "{alive} {resolves_at}");
    }
}

#[test]
fn preempt_shows_not_configured_and_gives_way_when_there_are_too_many() {
    let mut lines: Vec<Server> = (1..=5).map(|n| server(&format!("192.0.2.{n}"))).collect();
    lines.iter_mut().for_each(|line| line.maxpoll = PollExponent::new(6));
    lines[1].preempt = true;
    for (maxclock, left) in [(5, 5), (4, 4)] {
        let mut setup = setup(lines.clone());
        setup.config.tos.maxclock = maxclock;
        let mut bench = Bench::new(setup.clone());
        let dead = ip("192.0.2.2");
        run(&mut bench, 500.0, of(&[]), |_, _| true);
        assert_eq!(bench.variable(Some(1), "config"), "0");
        assert_eq!(bench.variable(Some(0), "config"), "1");
        assert_eq!(addresses(&mut bench).len(), 5, "what is of use stays");
        run(&mut bench, 5000.0, of(&[]), |to, _| to != dead);
        assert_eq!(addresses(&mut bench).len(), left, "maxclock {maxclock}");
        // Its line is still there: a reload tries it again.
        bench.input(Input::Reload(Box::new(setup)));
        assert_eq!(addresses(&mut bench).len(), 5);
    }
}
