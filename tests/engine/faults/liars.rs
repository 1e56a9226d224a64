//! Half of the servers lie, in ten ways, once the clock is well kept: no half is a majority, and the clock coasts.

use super::time::QUIET;
use super::{EVENT, Fault, steps};
use rsntpd::engine::report::event::Event;
use rsntpd::units::Leap;
use sim::world::World;

const HALF: &str = "neither half is a majority: the clock coasts, unmoved";

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "two of four servers wrong by 1 s from one moment on",
        strike: |world| lie(world, |_, t| since(t, 1.0)),
        ..LIARS
    },
    Fault {
        name: "two of four wrong by 100 ms, as within the step threshold",
        strike: |world| lie(world, |_, t| since(t, 0.1)),
        ..LIARS
    },
    Fault {
        name: "one of four ahead by 1 s, one behind",
        strike: |world| lie(world, |n, t| since(t, if n == 2 { 1.0 } else { -1.0 })),
        ..LIARS
    },
    Fault {
        name: "two of four drift away together, 20 ppm",
        strike: |world| lie(world, |_, t| (t - EVENT).max(0.0) * 20e-6),
        ..LIARS
    },
    Fault {
        name: "two of four drift apart, 100 ppm each way",
        strike: |world| lie(world, |n, t| (t - EVENT).max(0.0) * if n == 2 { 1e-4 } else { -1e-4 }),
        ..LIARS
    },
    Fault {
        name: "two of four at random within 1 s, anew for each response",
        strike: |world| {
            lie(world, |n, t| since(t, ((t * 1e3).sin() * 43_758.5 + n as f64 * 0.37).rem_euclid(1.0) - 0.5));
        },
        ..LIARS
    },
    Fault {
        name: "two of four swing by 1 s each hour",
        strike: |world| lie(world, |_, t| since(t, ((t - EVENT) * std::f64::consts::TAU / 3_600.0).sin())),
        ..LIARS
    },
    Fault {
        name: "two of four stand still",
        strike: |world| lie(world, |_, t| -(t - EVENT).max(0.0)),
        ..LIARS
    },
    Fault {
        name: "two of four wrong by 10 s every other ten minutes",
        strike: |world| {
            lie(world, |_, t| since(t, if ((t - EVENT) / 600.0).rem_euclid(2.0) < 1.0 { 10.0 } else { 0.0 }));
        },
        ..LIARS
    },
    Fault {
        name: "two of four announce a leap second that no others do",
        happened: "no majority: it is not armed",
        strike: |world| world.servers[2..].iter_mut().for_each(|server| server.leap = Leap::Insert),
        check: |world| {
            let armed = world.hosts[0].events.iter().any(|(_, event)| matches!(event, Event::LeapArmed(_)));
            assert!(!armed && steps(world) == 0);
        },
        ..LIARS
    },
];

// Without a majority for hours, the clock coasts: at 0.2 ppm.
const LIARS: Fault =
    Fault { happened: HALF, during: 3e-3, after: 2e-3, check: |world| assert_eq!(steps(world), 0), ..QUIET };

/// From the event on.
fn since(t: f64, error: f64) -> f64 {
    if t >= EVENT { error } else { 0.0 }
}

/// The last two servers are off by this, by their number and true time.
fn lie(world: &mut World, error: fn(usize, f64) -> f64) {
    for (n, server) in world.servers.iter_mut().enumerate().skip(2) {
        server.error = Box::new(move |t| error(n, t));
    }
}
