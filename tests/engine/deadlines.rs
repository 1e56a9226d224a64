//! Deadlines: whatever happens, all that is due has been done when `handle` returns, so that the shell never spins.

use crate::bench::{Bench, from, ip, local_clock, server, setup};
use proptest::prelude::*;
use rsntpd::config::model::{Kind, Server, Target};
use rsntpd::engine::contract::{
    ClockCommand, ClockFailure, ClockReport, Input, LookupError, LookupId, Rx, SendToken, Setup, SocketId,
};
use rsntpd::units::{Host, Ppm, Seconds, Stamp};
use rsntpd::wire::Header;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happens {
    /// Time passes, and the shell calls at the deadline if that comes first, or later than that.
    Passes(f64),
    Datagram(Vec<u8>),
    /// The oldest open request gets a response of this stratum; 0 is a kiss.
    Response(u8),
    Sent(u64),
    Resolved(u64, Vec<u8>),
    Fails(u8),
    ClockSet(f64),
    WrongEra(i64),
    Reload(Vec<u8>),
    Shutdown,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0.0..3000.0).prop_map(Happens::Passes),
        2 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Happens::Datagram),
        6 => prop_oneof![Just(0u8), Just(1), Just(2), Just(16)].prop_map(Happens::Response),
        1 => (0u64..40).prop_map(Happens::Sent),
        2 => (0u64..12, prop::collection::vec(1u8..9, 0..4)).prop_map(|(id, hosts)| Happens::Resolved(id, hosts)),
        1 => (0u8..3).prop_map(Happens::Fails),
        1 => prop_oneof![-1e6..1e6, -2.0..2.0].prop_map(Happens::ClockSet),
        1 => (-2i64..3).prop_map(Happens::WrongEra),
        1 => prop::collection::vec(0u8..8, 0..5).prop_map(Happens::Reload),
        1 => Just(Happens::Shutdown),
    ]
}

/// A server line: addresses, names, a pool, the local clock.
fn line(which: u8) -> Server {
    let named = |kind, name: &str| Server::new(kind, Target::Name(name.to_owned()));
    match which {
        0 => local_clock(),
        1 => named(Kind::Server, "one.example"),
        2 => named(Kind::Pool, "pool.example"),
        3 => Server { iburst: true, burst: true, ..named(Kind::Server, "two.example") },
        n => server(&format!("192.0.2.{n}")),
    }
}

fn apply(bench: &mut Bench, what: Happens) {
    match what {
        Happens::Passes(span) => {
            bench.time += span;
            bench.input(Input::Timer);
        }
        Happens::Datagram(data) => {
            let rx = Rx {
                data: &data,
                from: from("192.0.2.4:123"),
                to: ip("10.0.0.99"),
                socket: SocketId(0),
                received: Stamp::clock(bench.now().wall),
            };
            bench.input(Input::Datagram(rx));
        }
        Happens::Response(stratum) => {
            if bench.sent.is_empty() {
                return;
            }
            let tx = bench.sent.remove(0);
            let reply = bench.reply(&Header::parse(&tx.data).unwrap(), stratum);
            bench.deliver(&reply.to_bytes(), tx.to);
        }
        Happens::Sent(token) => {
            let at = Stamp::clock(bench.now().wall);
            bench.input(Input::Sent { token: SendToken(token), at, from: None });
        }
        Happens::Resolved(id, hosts) => {
            let hosts: Vec<Host> = hosts.iter().map(|n| ip(&format!("192.0.2.{n}")).into()).collect();
            let failed = LookupError { text: "no".to_owned() };
            let result = if hosts.is_empty() { Err(failed) } else { Ok(hosts) };
            bench.input(Input::Resolved { id: LookupId(id), result });
        }
        Happens::Fails(which) => {
            let (command, failure) = match which {
                0 => (ClockCommand::Step(Seconds::new(0.5)), ClockFailure::Os(22)),
                1 => (ClockCommand::PllSlew { nanos: 0, left: 0 }, ClockFailure::NoLoop),
                _ => (ClockCommand::Frequency(Ppm::ZERO), ClockFailure::NotPermitted),
            };
            bench.input(Input::ClockDone(ClockReport { command, result: Err(failure) }));
        }
        Happens::ClockSet(by) => {
            bench.behind -= by;
            bench.input(Input::ClockSet { by: Seconds::new(by), running: Vec::new() });
        }
        Happens::WrongEra(eras) => bench.input(Input::WrongEra(eras)),
        Happens::Reload(lines) => {
            let lines = lines.into_iter().map(line).collect();
            bench.input(Input::Reload(Box::new(setup(lines))));
        }
        Happens::Shutdown => bench.input(Input::Shutdown),
    }
}

proptest! {
    #[test]
    fn the_next_deadline_lies_ahead_after_any_input(
        lines in prop::collection::vec(0u8..8, 0..6),
        quits in prop::bool::weighted(0.3),
        sequence in prop::collection::vec(happens(), 1..60),
    ) {
        let lines = lines.into_iter().map(line).collect();
        let mut bench = Bench::new(Setup { quit_after_set: quits, ..setup(lines) });
        for what in sequence {
            apply(&mut bench, what.clone());
            let now = bench.now().mono;
            let next = bench.engine.next_deadline();
            prop_assert!(next.is_none_or(|at| at > now), "{what:?}: {next:?} at {now:?}");
        }
    }
}
