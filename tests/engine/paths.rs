//! Very long poll intervals, and clocks that seem to be read coarsely. Each limit is a number; every world is its seed.

use crate::among::{Make, Plan, lost_sync, rms, steady, synchronized, watch, within};
use rsntpd::units::PollExponent;

#[test]
fn f9_with_minpoll_14_it_is_synchronized_and_stays_so() {
    let worlds = [("iburst", true), ("no iburst", false)];
    within("s", 70_000.0, &worlds, |iburst, seed| {
        let mut world = Plan::new(seed)
            .near()
            .all(|line| {
                (line.minpoll, line.maxpoll) = (PollExponent::new(14), PollExponent::new(14));
                line.iburst = *iburst;
            })
            .world();
        let errors = watch(&mut world, 0, 600_000.0);
        assert_eq!(lost_sync(&world), [0.0; 0]);
        println!("seed {seed}: rms after a day {:.3} ms", rms(&errors[86_400..]) * 1e3);
        synchronized(&world)
    });
}

#[test]
fn f10_a_precision_that_was_measured_too_coarse_costs_no_accuracy() {
    let worlds: [(&str, Make); 3] = [
        ("LAN", Plan::near),
        ("LAN, 0.1 ms", |plan| plan.server(1e-3, 1e-3, 100e-6)),
        ("Internet", |plan| plan.server(10e-3, 10e-3, 100e-6)),
    ];
    within("ms", 0.06, &worlds, |make, seed| steady(|plan| make(plan.reading(-7)), seed));
}
