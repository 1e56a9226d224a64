//! The accuracy table: our loop in the simulator, beside the figures of the peers (measured with
//! the same laws by the project's founders) and the goals. `make accuracy` runs it.
//!
//! Arguments: scenario names to choose from the table; `--seeds N` (5), `--duration S` (100000).

mod options;
#[path = "../../tests/sim/mod.rs"]
mod sim;
mod worlds;

use options::Options;
use sim::scenario::{Report, Scenario, table};

/// Name; rms in µs of ntpd 4.2.6p5, of chronyd, and our goal; goal for packets and settling.
const PEERS: [(&str, f64, f64, f64, u64, f64); 15] = [
    ("lan", 276.0, 23.3, 7.5, 400, 10.0),
    ("campus", 271.0, 105.0, 30.0, 400, 10.0),
    ("internet", 469.0, 649.0, 125.0, 400, 10.0),
    ("bad", 4044.0, 1533.0, 500.0, 400, f64::INFINITY),
    ("wander", 2235.0, 1054.0, 300.0, 400, 10.0),
    ("lan-wander", 2164.0, 16.7, 8.5, 1500, 10.0),
    ("quiet", 398.0, 153.0, 55.0, 400, 10.0),
    ("cold", 1117.0, 649.0, 125.0, 400, 60.0),
    ("asym", 441.0, 175.0, 100.0, 400, 10.0),
    ("burst", 5230.0, 130.0, 50.0, 400, 60.0),
    ("loss", 767.0, 770.0, 180.0, 400, 15.0),
    ("thermal", 1213.0, 1246.0, 350.0, 600, 10.0),
    ("four", 573.0, 536.0, 75.0, 1600, 10.0),
    ("falsetick", 511.0, 522.0, 85.0, 1600, 10.0),
    ("fixpoll6", 160.0, 118.0, 55.0, 1560, 10.0),
];

fn main() {
    let options = Options::read();
    if options.worlds || options.world.is_some() || options.custom.is_some() {
        return worlds::print(&options);
    }
    let (names, seeds, duration) = (&options.names, options.seeds.unwrap_or(5), options.duration);
    let chosen: Vec<Scenario> =
        table().into_iter().filter(|s| names.is_empty() || names.iter().any(|n| n == s.name)).collect();
    if chosen.is_empty() {
        let all: Vec<&str> = table().iter().map(|s| s.name).collect();
        eprintln!("accuracy: no such scenario; there are {}", all.join(" "));
        std::process::exit(2);
    }
    println!("{seeds} seeds of {duration:.0} s each; medians; rms and max of the clock's error in us");
    println!(
        "{:<11} {:>8} {:>8} {:>8} {:>7} | {:>8} {:>6} {:>8} {:>6} | {:>7} {:>5}",
        "scenario", "rms", "max", "packets", "settle", "ntpd", "ratio", "chronyd", "ratio", "goal", "met"
    );
    for scenario in &chosen {
        row(scenario, seeds, duration);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(scenario: &Scenario, seeds: u64, duration: f64) {
    let runs: Vec<Report> = (0..seeds).map(|seed| scenario.run(seed, duration)).collect();
    let of = |value: fn(&Report) -> f64| median(runs.iter().map(value).collect());
    let rms = of(|r| r.rms * 1e6);
    let max = of(|r| r.max * 1e6);
    let packets = of(|r| r.packets as f64);
    let settle = of(|r| r.settle.unwrap_or(f64::INFINITY));
    let Some(&(_, ntpd, chronyd, goal, budget, patience)) = PEERS.iter().find(|p| p.0 == scenario.name)
    else {
        return;
    };
    let missed: Vec<&str> =
        [(rms > goal, "rms"), (packets > budget as f64, "packets"), (settle > patience, "settle")]
            .into_iter()
            .filter_map(|(missed, what)| missed.then_some(what))
            .collect();
    let met = if missed.is_empty() { "yes".to_owned() } else { format!("not {}", missed.join(", ")) };
    println!(
        "{:<11} {rms:>8.1} {max:>8.0} {packets:>8.0} {settle:>7.0} | {ntpd:>8.0} {:>6.2} {chronyd:>8.1} {:>6.2} | {goal:>7.1} {met:>5}",
        scenario.name,
        rms / ntpd,
        rms / chronyd,
    );
}
