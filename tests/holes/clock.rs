//! What is done to the clock.

use crate::table::{Row, tried};
use rsntpd::engine::contract::{ClockCommand, ExitReason, Output, Setup};
use rsntpd::engine::report::event::Event;
use sim::bench::{Bench, server, setup};

pub const ROWS: &[Row] = &[
    Row {
        holes: "2015-5300",
        rule: "-g permits one step over the panic limit, at the start only",
        tried: tried![cve_2015_5300_g_permits_one_step_past_the_panic_limit],
    },
    Row {
        holes: "E24",
        rule: "steps that all go one way are reported as what they are: a broken source, or a broken clock",
        tried: tried![e24_steps_that_all_go_one_way_are_reported],
    },
];

fn e24_steps_that_all_go_one_way_are_reported() {
    for ways in [[0.5; 7], [-0.5; 7], [0.5, -0.5, 0.5, -0.5, 0.5, -0.5, 0.5]] {
        let mut bench = Bench::new(setup(vec![server("192.0.2.1")]));
        bench.run_served(1000.0);
        for way in ways {
            bench.behind += way;
            bench.run_served(bench.time + 3000.0);
        }
        assert_eq!(bench.happened(|e| matches!(e, Event::TimeReset(_))), ways.len());
        let warned: Vec<_> = bench
            .events
            .iter()
            .filter_map(|event| match event {
                Event::StepsInARow { count, forward } => Some((*count, *forward)),
                _ => None,
            })
            .collect();
        let one_way = ways.iter().all(|way| *way == ways[0]);
        let expected = if one_way { vec![(3, ways[0] > 0.0), (6, ways[0] > 0.0)] } else { Vec::new() };
        assert_eq!(warned, expected, "{ways:?}");
        let shown = if one_way { 7.0 * ways[0].signum() } else { 1.0 };
        assert_eq!(bench.variable(None, "steps"), shown.to_string());
    }
}

fn cve_2015_5300_g_permits_one_step_past_the_panic_limit() {
    let mut strict = Bench::new(setup(vec![server("192.0.2.1")]));
    strict.behind = 1e6;
    strict.run_served(20.0);
    assert!(strict.others.contains(&Output::Exit(ExitReason::Panic)));
    assert!(strict.commands.iter().all(|c| !matches!(c, ClockCommand::Step(_))));

    let lenient = || Bench::new(Setup { allow_panic_once: true, ..setup(vec![server("192.0.2.1")]) });
    let mut bench = lenient();
    bench.behind = 1e6;
    bench.run_served(2000.0);
    assert!(bench.behind.abs() < 1e-3);
    bench.behind = 5000.0;
    bench.run_served(5000.0);
    assert!(bench.others.contains(&Output::Exit(ExitReason::Panic)), "-g is spent");

    // A small first offset spends it, too.
    let mut bench = lenient();
    bench.run_served(2000.0);
    bench.behind = 5000.0;
    bench.run_served(5000.0);
    assert!(bench.others.contains(&Output::Exit(ExitReason::Panic)), "it was for the first offset");
    assert!(bench.commands.iter().all(|c| !matches!(c, ClockCommand::Step(_))));
}
