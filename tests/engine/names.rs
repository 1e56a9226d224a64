//! Names and the addresses behind them: one association an address, and the next address of a name when one is dead.

use crate::bench::{Bench, from, ip, server, setup};
use rsntpd::config::model::{Kind, Server, Target};
use rsntpd::engine::contract::{Input, LookupError, LookupId, Output};
use rsntpd::engine::report::event::Event;
use rsntpd::units::Host;
use rsntpd::wire::Header;
use std::net::IpAddr;

pub(crate) fn named(kind: Kind, name: &str) -> Server {
    Server { iburst: true, ..Server::new(kind, Target::Name(name.to_owned())) }
}

fn name(name: &str) -> Server {
    named(Kind::Server, name)
}

/// The names that wait to be looked up.
pub(crate) fn lookups(bench: &mut Bench) -> Vec<(LookupId, String)> {
    let (asked, others) =
        std::mem::take(&mut bench.others).into_iter().partition(|o| matches!(o, Output::Resolve { .. }));
    bench.others = others;
    let asked: Vec<Output> = asked;
    asked
        .into_iter()
        .filter_map(|o| match o {
            Output::Resolve { id, name, .. } => Some((id, name)),
            _ => None,
        })
        .collect()
}

pub(crate) fn hosts(addresses: &[&str]) -> Vec<Host> {
    addresses.iter().map(|address| ip(address).into()).collect()
}

/// Runs until `until`; names have the addresses that `dns` gives at that time, and those for which `alive` says so respond.
pub(crate) fn run(
    bench: &mut Bench,
    until: f64,
    dns: impl Fn(&str, f64) -> Result<Vec<Host>, LookupError>,
    alive: impl Fn(IpAddr, f64) -> bool,
) {
    loop {
        for (id, name) in lookups(bench) {
            let result = dns(&name, bench.time);
            bench.input(Input::Resolved { id, result });
        }
        for tx in std::mem::take(&mut bench.sent) {
            if alive(tx.to.ip(), bench.time) {
                let reply = bench.reply(&Header::parse(&tx.data).unwrap(), 1);
                bench.deliver(&reply.to_bytes(), tx.to);
            }
        }
        if !bench.advance(until) {
            return;
        }
    }
}

pub(crate) fn addresses(bench: &mut Bench) -> Vec<String> {
    let count = bench.control(1, 0, "").len() / 4;
    let mut all: Vec<String> = (0..count).map(|i| bench.variable(Some(i), "srcadr")).collect();
    all.sort();
    all
}

pub(crate) fn duplicates(bench: &Bench) -> usize {
    bench.happened(|e| matches!(e, Event::DuplicateAddress { .. }))
}

#[test]
fn a6_e28_two_names_with_one_address_are_one_association() {
    for lines in [
        vec![name("a.example"), name("b.example")],
        vec![server("192.0.2.1"), name("b.example")],
        vec![name("a.example"), server("192.0.2.1"), name("c.example")],
        vec![server("192.0.2.1"), server("192.0.2.1")],
    ] {
        let (count, mut bench) = (lines.len(), Bench::new(setup(lines.clone())));
        run(&mut bench, 5.0, |_, _| Ok(hosts(&["192.0.2.1"])), |_, _| true);
        assert_eq!(addresses(&mut bench), ["192.0.2.1"], "{lines:?}");
        assert_eq!(duplicates(&bench), count - 1, "each is logged once");
        assert_eq!(bench.variable(None, "stratum"), "2", "synchronized within 5 s");
        // Nothing is looked up, mobilized or logged any more, however long, and at a reload.
        run(&mut bench, 3_000.0, |_, _| panic!("looked up again"), |_, _| true);
        bench.input(Input::Reload(Box::new(setup(lines.clone()))));
        assert!(lookups(&mut bench).is_empty());
        run(&mut bench, 4_000.0, |_, _| panic!("looked up again"), |_, _| true);
        assert_eq!(duplicates(&bench), count - 1, "{lines:?}");
        assert_eq!(addresses(&mut bench), ["192.0.2.1"]);
        assert_eq!(bench.variable(Some(0), "reach"), "0xff");
    }
}

#[test]
fn a6_a_name_takes_the_place_of_the_line_that_had_its_address() {
    let mut bench = Bench::new(setup(vec![server("192.0.2.1"), name("b.example")]));
    let dns = |_: &str, _: f64| Ok(hosts(&["192.0.2.1"]));
    run(&mut bench, 100.0, dns, |_, _| true);
    bench.input(Input::Reload(Box::new(setup(vec![name("b.example")]))));
    run(&mut bench, 200.0, dns, |_, _| true);
    assert_eq!(addresses(&mut bench), ["192.0.2.1"]);
    assert_eq!(bench.variable(Some(0), "srchost"), "\"b.example\"");
    assert_eq!(duplicates(&bench), 1);
}

#[test]
fn a7_a_link_is_part_of_the_address() {
    let on = |scope| Host { ip: ip("fe80::1"), scope };
    let mut bench = Bench::new(setup(vec![name("fe80::1%eth0"), name("fe80::1%eth1")]));
    for (id, name) in lookups(&mut bench) {
        let scope = if name == "fe80::1%eth0" { 2 } else { 3 };
        bench.input(Input::Resolved { id, result: Ok(vec![on(scope)]) });
    }
    bench.advance(1.0);
    let request = bench.sent.iter().find(|tx| tx.to == from("[fe80::1%2]:123")).cloned().unwrap();
    let reply = bench.reply(&Header::parse(&request.data).unwrap(), 1).to_bytes();
    let processed = bench.variable(None, "ss_processed");
    for elsewhere in ["[fe80::1]:123", "[fe80::1%3]:123", "[fe80::2%2]:123"] {
        bench.deliver(&reply, from(elsewhere));
    }
    assert_eq!(bench.variable(None, "ss_processed"), processed, "another link, another host");
    bench.deliver(&reply, request.to);
    assert_ne!(bench.variable(None, "ss_processed"), processed);
    bench.run_served(30.0);
    assert_eq!(addresses(&mut bench), ["fe80::1%2", "fe80::1%3"]);
    assert_eq!([0, 1].map(|i| bench.variable(Some(i), "reach")), ["0x1", "0x1"]);
    assert_eq!(bench.happened(|e| e.text() == "resolved fe80::1%eth0 to fe80::1%2"), 1);
    assert_eq!(bench.happened(|e| e.text().starts_with("synchronized to fe80::1%")), 1);
}

#[test]
fn a8_addresses_that_ntpd_refuses_are_refused() {
    for address in ["127.0.0.2", "127.0.1.1", "127.255.0.1", "224.0.1.1", "ff02::101"] {
        let mut bench = Bench::new(setup(vec![server(address)]));
        let told = |e: &Event| e.text() == format!("attempt to configure invalid address {address}");
        assert_eq!(bench.happened(told), 1);
        bench.run(100.0, |_, tx| panic!("polled {}", tx.to));
        assert!(addresses(&mut bench).is_empty());
    }
    for address in ["127.0.0.1", "::1", "192.0.2.1"] {
        let mut bench = Bench::new(setup(vec![server(address)]));
        assert_eq!(addresses(&mut bench), [address]);
    }
    // A name may come to have a usable address, and may have one beside.
    let mut bench = Bench::new(setup(vec![name("self.example"), name("both.example")]));
    let dns = |name: &str, now: f64| match name {
        "self.example" if now < 100.0 => Ok(hosts(&["127.0.1.1"])),
        "self.example" => Ok(hosts(&["192.0.2.1"])),
        _ => Ok(hosts(&["127.0.1.1", "192.0.2.2"])),
    };
    run(&mut bench, 50.0, dns, |_, _| true);
    assert_eq!(addresses(&mut bench), ["0.0.0.0", "192.0.2.2"]);
    assert!(bench.happened(|e| e.text().contains("attempt to configure invalid address 127.0.1.1")) > 0);
    run(&mut bench, 300.0, dns, |_, _| true);
    assert_eq!(addresses(&mut bench), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn e8_a_name_whose_first_address_is_dead_goes_on_to_the_next() {
    for iburst in [true, false] {
        let line = Server { iburst, ..name("a.example") };
        let mut bench = Bench::new(setup(vec![line]));
        let all = ["192.0.2.1", "192.0.2.2", "2001:db8::3", "192.0.2.4"];
        run(&mut bench, 300.0, |_, _| Ok(hosts(&all)), |to, _| to == ip("192.0.2.4"));
        assert_eq!(addresses(&mut bench), ["192.0.2.4"]);
        assert_eq!(bench.variable(None, "stratum"), "2", "synchronized within 300 s");
        let status = bench.happened(|e| matches!(e, Event::Demobilized(_)));
        assert_eq!(status, 0, "it is one association all the time");
    }
}

#[test]
fn e8_a_server_that_dies_is_replaced_by_what_its_name_has_by_then() {
    let mut bench = Bench::new(setup(vec![name("a.example")]));
    let dns = |_: &str, now: f64| Ok(hosts(if now < 5_000.0 { &["192.0.2.1"] } else { &["192.0.2.9"] }));
    let alive = |to: IpAddr, now: f64| if to == ip("192.0.2.1") { now < 5_000.0 } else { true };
    run(&mut bench, 5_000.0, dns, alive);
    assert_eq!(addresses(&mut bench), ["192.0.2.1"]);
    run(&mut bench, 9_000.0, dns, alive);
    assert_eq!(addresses(&mut bench), ["192.0.2.9"]);
    assert_eq!(bench.variable(Some(0), "reach"), "0xff");
}

#[test]
fn e8_a_dead_network_costs_ever_fewer_packets_lookups_and_lines() {
    let mut bench = Bench::new(setup(vec![name("a.example")]));
    let count = std::cell::Cell::new(0);
    let dns = |_: &str, _: f64| {
        count.set(count.get() + 1);
        Ok(hosts(&["192.0.2.1", "192.0.2.2"]))
    };
    run(&mut bench, 3_600.0, dns, |_, _| false);
    let first_hour = count.replace(0);
    run(&mut bench, 86_400.0, dns, |_, _| false);
    assert!(first_hour < 40 && count.get() < 700, "{first_hour} {}", count.get());
    assert!(bench.happened(|e| matches!(e, Event::NameResolved { .. })) < 100);
    let sent: u32 = bench.variable(Some(0), "sent").parse().unwrap();
    assert!(sent < 3_000, "{sent}");
    // When it is back, so are we.
    run(&mut bench, 86_400.0 + 3_000.0, dns, |_, _| true);
    assert_eq!(bench.variable(None, "stratum"), "2");
}

#[test]
fn e8_without_another_address_and_without_dns_the_present_one_is_kept() {
    let mut bench = Bench::new(setup(vec![name("a.example")]));
    let dns = |_: &str, now: f64| {
        if (100.0..4_000.0).contains(&now) {
            Err(LookupError { text: "no such host".to_owned() })
        } else {
            Ok(hosts(&["192.0.2.1"]))
        }
    };
    run(&mut bench, 8_000.0, dns, |_, now| now > 6_000.0);
    assert_eq!(addresses(&mut bench), ["192.0.2.1"]);
    assert_eq!(bench.happened(|e| matches!(e, Event::NameFailed { .. })), 0, "it has an address");
    assert_eq!(bench.happened(|e| matches!(e, Event::NameResolved { .. })), 1);
    assert_ne!(bench.variable(Some(0), "reach"), "0x0");
}
