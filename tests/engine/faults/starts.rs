//! Starts with a clock that is decades off, and with servers of which half lie.

use super::time::QUIET;
use super::{Fault, four, steps};
use rsntpd::engine::contract::ExitReason;
use rsntpd::engine::report::event::Event;
use sim::world::World;

const YEARS: f64 = 30.0 * 365.25 * 86_400.0;

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "start 30 years behind, with `-g`",
        happened: "stepped once",
        world: |seed| four(seed).off_by(-YEARS).world(),
        log: "time reset +9467",
        ..START
    },
    Fault {
        name: "start 30 years ahead, with `-g`",
        happened: "stepped once",
        world: |seed| four(seed).off_by(YEARS).world(),
        log: "time reset -9467",
        ..START
    },
    Fault {
        name: "start 30 years behind, without `-g`",
        happened: "exit status 255, the clock untouched",
        world: |seed| strict(seed, -YEARS),
        right: None,
        exit: Some(ExitReason::Panic),
        log: "time correction of 9467",
        check: |world| assert_eq!(steps(world), 0),
        ..START
    },
    Fault {
        name: "start 30 years ahead, without `-g`",
        happened: "exit status 255, the clock untouched",
        world: |seed| strict(seed, YEARS),
        right: None,
        exit: Some(ExitReason::Panic),
        log: "time correction of -9467",
        check: |world| assert_eq!(steps(world), 0),
        ..START
    },
    Fault {
        name: "start with two of four servers 1 s wrong",
        happened: "no majority: not synchronized, the clock untouched",
        world: |seed| {
            let mut world = four(seed).off_by(0.05).world();
            world.servers[2..].iter_mut().for_each(|server| server.error = Box::new(|_| 1.0));
            world
        },
        during: 0.2,
        right: None,
        check: |world| {
            let synchronized = world.hosts[0].events.iter().any(|(_, event)| *event == Event::ClockSync);
            assert!(!synchronized && steps(world) == 0, "{:?}", world.hosts[0].events);
        },
        log: "",
        ..START
    },
];

const START: Fault = Fault {
    at: 0.0,
    during: YEARS + 1.0,
    right: Some(30.0),
    check: |world| assert_eq!(steps(world), 1),
    ..QUIET
};

fn strict(seed: u64, offset: f64) -> World {
    let mut plan = four(seed).off_by(offset);
    plan.setup.allow_panic_once = false;
    plan.world()
}
