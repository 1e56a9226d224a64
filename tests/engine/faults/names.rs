//! Name servers that lie, say nothing, or say too much.

use super::time::QUIET;
use super::{Fault, four};
use crate::names::named;
use crate::plan::{Plan, address};
use rsntpd::config::model::{Kind, Server};
use rsntpd::engine::report::event::Event;
use rsntpd::units::PollExponent;
use sim::world::World;
use std::net::IpAddr;

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "DNS leads one of four names to a server that is 10 s wrong",
        happened: "falseticker, not used",
        world: |seed| {
            let mut plan = four(seed).near().wrong_by(10.0);
            plan.setup.config.servers = ["a", "b", "c", "d"].map(|name| server(Kind::Server, name)).into();
            let mut world = plan.world();
            for (name, n) in [("a", 0), ("b", 1), ("c", 2), ("d", 4)] {
                lead(&mut world, name, move |_| vec![n]);
            }
            world
        },
        ..NAMES
    },
    Fault {
        name: "DNS finds no name for the first 1,000 s",
        happened: "looked up again and again, and found",
        world: |seed| {
            let mut plan = four(seed);
            plan.setup.config.servers = vec![server(Kind::Server, "a"), server(Kind::Server, "b")];
            let mut world = plan.world();
            lead(&mut world, "a", |t| if t < 1_000.0 { Vec::new() } else { vec![0] });
            lead(&mut world, "b", |t| if t < 1_000.0 { Vec::new() } else { vec![1] });
            world
        },
        right: Some(2_000.0),
        log: "cannot resolve a: no such host",
        ..NAMES
    },
    Fault {
        name: "DNS gives a `server` name 50 addresses",
        happened: "the first that responds is used",
        world: |seed| fifty(seed, Kind::Server),
        check: |world| assert_eq!(mobilized(world), 1),
        ..NAMES
    },
    Fault {
        name: "DNS gives a `pool` name 50 addresses",
        happened: "ten at most (`tos maxclock`) beside the pool itself",
        world: |seed| fifty(seed, Kind::Pool),
        check: |world| assert!((4..=11).contains(&mobilized(world)), "{}", mobilized(world)),
        ..NAMES
    },
];

const NAMES: Fault = Fault { at: 0.0, during: 0.06, right: Some(60.0), ..QUIET };

fn server(kind: Kind, name: &str) -> Server {
    Server { minpoll: PollExponent::new(6), ..named(kind, name) }
}

/// The name leads to these servers, by true time.
fn lead(world: &mut World, name: &str, servers: impl Fn(f64) -> Vec<usize> + 'static) {
    let addresses = move |t: f64| -> Vec<IpAddr> {
        servers(t).into_iter().map(|n| address(n).parse().unwrap()).collect()
    };
    world.names.insert(name.to_owned(), Box::new(addresses));
}

fn fifty(seed: u64, kind: Kind) -> World {
    let mut plan = (0..50).fold(Plan::new(seed), |plan, _| plan.server(0.010, 0.010, 0.001));
    plan.setup.config.servers = vec![server(kind, "a")];
    let mut world = plan.world();
    lead(&mut world, "a", |_| (0..50).collect());
    world
}

/// The associations there are.
fn mobilized(world: &World) -> usize {
    let count = |wanted: fn(&Event) -> bool| world.hosts[0].events.iter().filter(|(_, e)| wanted(e)).count();
    count(|e| matches!(e, Event::Mobilized(_))) - count(|e| matches!(e, Event::Demobilized(_)))
}
