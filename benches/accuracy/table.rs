//! The accuracy table: ours in each scenario, beside the peers and the goals.

use crate::figures::{FIGURES, Figures};
use sim::scenario::{Report, Scenario};
use sim::sweep::in_parallel;

/// Runs the scenarios and prints a row for each; the last line counts those that meet all goals.
pub(crate) fn print(chosen: &[Scenario], seeds: &[u64], duration: f64) {
    println!(
        "{} seeds of {duration:.0} s each; medians; rms and max of the clock's error in us",
        seeds.len()
    );
    println!("old: ntpd 4.2.6p5, new: ntpd 4.3.91; after each and after the goal: our rms by theirs");
    println!(
        "{:<11} {:>7} {:>6} {:>7} {:>6} | {:>5} {:>5} {:>5} {:>5} {:>7} {:>5} | {:>6} {:>5} met",
        "scenario", "rms", "max", "packets", "settle", "old", "", "new", "", "chronyd", "", "goal", ""
    );
    let runs: Vec<(Scenario, u64)> =
        chosen.iter().flat_map(|scenario| seeds.iter().map(|seed| (*scenario, *seed))).collect();
    let reports = in_parallel(&runs, |(scenario, seed)| scenario.run(*seed, duration));
    let rows = chosen.iter().zip(reports.chunks(seeds.len()));
    let met = rows.filter(|(scenario, reports)| row(scenario.name, reports)).count();
    println!("{met} of {} rows meet all their goals", chosen.len());
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints a row; whether it meets all its goals.
fn row(name: &str, runs: &[Report]) -> bool {
    let Some(peers) = FIGURES.iter().find(|f| f.name == name) else { return false };
    let of = |value: fn(&Report) -> f64| median(runs.iter().map(value).collect());
    let rms = of(|r| r.rms * 1e6);
    let max = of(|r| r.max * 1e6);
    let packets = of(|r| r.packets as f64);
    let settle = of(|r| r.settle.unwrap_or(f64::INFINITY));
    let Figures { ntpd, newer, chronyd, goal, .. } = peers;
    let wanted = [("rms", rms, goal.0), ("packets", packets, goal.1), ("settle", settle, peers.settle)];
    let missed: Vec<&str> = wanted.iter().filter(|w| w.1 > w.2).map(|w| w.0).collect();
    let met = if missed.is_empty() { "yes".to_owned() } else { format!("not {}", missed.join(", ")) };
    let (a, b, c, d) = (rms / ntpd.0, rms / newer.0, rms / chronyd.0, rms / goal.0);
    println!(
        "{name:<11} {rms:>7.1} {max:>6.0} {packets:>7.0} {settle:>6.0} | {:>5.0} {a:>5.3} {:>5.0} {b:>5.3} {:>7.1} {c:>5.2} | {:>6.1} {d:>5.2} {met}",
        ntpd.0, newer.0, chronyd.0, goal.0
    );
    missed.is_empty()
}
