//! What happens to the clock: it is set, it stands still, an era ends.

use super::{EVENT, Fault, four, internet, steps};
use rsntpd::engine::contract::ExitReason;
use rsntpd::units::Seconds;
use sim::world::World;

const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;
/// The NTP era ends, and 32 bits of Unix time do.
const NTP_ERA: i64 = 2_085_978_496;
const UNIX_32: i64 = 1 << 31;

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "suspended for 8 hours, hardware clock 0.4 s off",
        happened: "polled at once, stepped once",
        strike: |world| world.suspend(0, 8.0 * HOUR, 0.4),
        during: 0.41,
        right: Some(30.0),
        log: "machine was suspended for 28800 s",
        check: |world| assert_eq!(steps(world), 1),
        ..QUIET
    },
    Fault {
        name: "suspended for 8 hours, hardware clock right",
        happened: "polled at once, slewed",
        strike: |world| world.suspend(0, 8.0 * HOUR, 0.002),
        during: 0.01,
        right: Some(30.0),
        log: "machine was suspended for 28800 s",
        ..QUIET
    },
    Fault {
        name: "suspended for 30 days, hardware clock 5,000 s off, `tinker resume 60`",
        happened: "polled at once, stepped once",
        world: resuming,
        strike: |world| world.suspend(0, 30.0 * DAY, 5_000.0),
        during: 5_001.0,
        right: Some(30.0),
        log: "machine was suspended for 2592000 s",
        check: |world| assert_eq!(steps(world), 1),
        ..QUIET
    },
    Fault {
        name: "the same, and the servers jump as far an hour later",
        happened: "the permission is spent: exit status 255, as with `-g`",
        world: resuming,
        strike: |world| {
            world.suspend(0, 30.0 * DAY, 5_000.0);
            world.run(world.time + HOUR);
            assert_eq!(steps(world), 1);
            let servers = world.servers.iter_mut();
            servers.for_each(|server| server.error = Box::new(|_| 5_000.0));
        },
        during: 3e-3,
        after: 2e-3,
        exit: Some(ExitReason::Panic),
        log: "time correction of 5000 seconds exceeds sanity limit",
        ..QUIET
    },
    Fault {
        name: "the same, without `tinker resume`",
        happened: "as with ntpd's panic limit: exit status 255, the clock untouched",
        strike: |world| world.suspend(0, 30.0 * DAY, 5_000.0),
        during: 5_001.0,
        right: None,
        exit: Some(ExitReason::Panic),
        log: "time correction of -5000 seconds exceeds sanity limit",
        check: |world| assert_eq!(steps(world), 0),
        ..QUIET
    },
    Fault {
        name: "virtual machine stopped by its host for 10 minutes",
        happened: "no clock of its own shows it: stepped after the stepout time",
        strike: |world| stop(world, 600.0),
        during: 601.0,
        right: Some(900.0 + 6.0 * 256.0),
        log: "spike detected",
        check: |world| assert_eq!(steps(world), 1),
        ..QUIET
    },
    Fault {
        name: "virtual machine restored from a copy a day old",
        happened: "beyond the panic limit: exit status 255, the clock untouched",
        strike: |world| stop(world, DAY),
        during: DAY + 1.0,
        right: None,
        exit: Some(ExitReason::Panic),
        log: "time correction of 86400 seconds exceeds sanity limit",
        ..QUIET
    },
    Fault {
        name: "the same, with `tinker panic 0`",
        happened: "stepped after the stepout time",
        world: |seed| four(seed).setting(|config| config.tinker.panic = Seconds::ZERO).world(),
        strike: |world| stop(world, DAY),
        during: DAY + 1.0,
        right: Some(900.0 + 6.0 * 256.0),
        log: "spike detected",
        ..QUIET
    },
    Fault {
        name: "another program sets the clock by 5 s",
        happened: "polled at once, stepped back once",
        strike: |world| world.set_clock(0, 5.0),
        during: 5.1,
        right: Some(60.0),
        log: "clock was set +5.000000 s by another process",
        check: |world| assert_eq!(steps(world), 1),
        ..QUIET
    },
    Fault {
        name: "another program sets the clock three years back",
        happened: "polled at once, stepped back once, past the panic limit",
        strike: |world| world.set_clock(0, -1e8),
        during: 1.1e8,
        right: Some(60.0),
        log: "clock was set -100000000.000000 s by another process",
        check: |world| assert_eq!(steps(world), 1),
        ..QUIET
    },
    Fault {
        name: "the NTP era ends (2036-02-07)",
        happened: "nothing",
        world: |seed| internet().world_at(NTP_ERA - EVENT as i64 - 100, seed),
        check: |world| assert_eq!(steps(world), 0),
        ..QUIET
    },
    Fault {
        name: "32 bits of Unix time end (2038-01-19)",
        happened: "nothing",
        world: |seed| internet().world_at(UNIX_32 - EVENT as i64 - 100, seed),
        check: |world| assert_eq!(steps(world), 0),
        ..QUIET
    },
];

/// A fault that no one would notice.
pub(super) const QUIET: Fault = Fault {
    name: "",
    happened: "",
    world: |seed| internet().world(seed),
    at: EVENT,
    strike: |_| {},
    during: 1e-3,
    after: 5e-4,
    right: Some(0.0),
    exit: None,
    log: "",
    check: |_| {},
};

fn resuming(seed: u64) -> World {
    four(seed).setting(|config| config.tinker.resume = Seconds::new(60.0)).world()
}

/// All clocks of the first host stand still, and nothing tells.
fn stop(world: &mut World, span: f64) {
    world.hosts[0].clock.pause(span);
    world.time += span;
}
