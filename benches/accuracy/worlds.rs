//! `--worlds`: ours beside plain loops in worlds that are not in the table.

use crate::options::Options;
use sim::sweep::{BOUND, Comparison, LAWS, Place, in_parallel};

/// Worlds told one by one at the end.
const WORST: usize = 25;

/// Runs what was asked for and prints it.
pub(crate) fn print(options: &Options) {
    let seeds = options.seeds(3);
    if let Some(c) = options.custom {
        let place = Place::of(0, c.law, c.jitter, c.wander, c.base, c.servers, c.asymmetry);
        return detail(&place, &seeds, options.duration);
    }
    if let Some(index) = options.world {
        return detail(&Place::new(index), &seeds, options.duration);
    }
    let last = options.first.saturating_add(options.count);
    let places: Vec<Place> = (options.first..last).map(Place::new).collect();
    let one_by_one = |place: &Place| -> Vec<Comparison> {
        seeds.iter().map(|seed| place.judge(*seed, options.duration)).collect()
    };
    let runs = in_parallel(&places, one_by_one);
    let single: Vec<f64> = runs.iter().flatten().map(Comparison::ratio).collect();
    let results = runs.iter().map(|runs| Comparison::of_all(runs));
    let all: Vec<(Place, Comparison)> = places.into_iter().zip(results).collect();
    println!("ours by the best yardstick: {} worlds, seeds {seeds:?}, {:.0} s", all.len(), options.duration);
    println!(
        "{:<24} {:>6} {:>6} {:>6} {:>6} {:>6} {:>7}",
        "", "worlds", "best", "median", "p90", "worst", "missed"
    );
    row("all", &all, |_| true);
    for law in LAWS {
        row(law, &all, |p| p.law == law);
    }
    row("asymmetric", &all, |p| p.asymmetry < 1.0);
    for (name, low, high) in
        [("jitter < 10 us", 0.0, 1e-5), ("jitter < 1 ms", 1e-5, 1e-3), ("jitter > 1 ms", 1e-3, 1.0)]
    {
        row(name, &all, |p| (low..high).contains(&p.jitter));
    }
    for (name, low, high) in
        [("wander < 1e-10", 0.0, 1e-10), ("wander < 1e-8", 1e-10, 1e-8), ("wander > 1e-8", 1e-8, 1.0)]
    {
        row(name, &all, |p| (low..high).contains(&p.scenario.wander));
    }
    for (name, low, high) in [("one server", 0, 2), ("two to four servers", 2, 5), ("more servers", 5, 99)] {
        row(name, &all, |p| (low..high).contains(&p.scenario.servers));
    }
    let mut worst: Vec<&(Place, Comparison)> = all.iter().filter(|w| w.1.ratio() > BOUND).collect();
    worst.sort_by(|a, b| b.1.ratio().total_cmp(&a.1.ratio()));
    println!("\nThe worst of those past {BOUND} (ARGS=\"--world N\" runs one again):");
    for (place, result) in worst.iter().take(WORST) {
        println!("{}\n     {}", place.describe(), result.describe());
    }
    println!("{} of {} worlds are past {BOUND} times the best yardstick", worst.len(), all.len());
    let missed = single.iter().filter(|ratio| **ratio > BOUND).count();
    println!(
        "and {missed} of the {} single runs, the worst by {:.2}",
        single.len(),
        single.iter().fold(0.0, |a, b| b.max(a))
    );
}

fn row(name: &str, all: &[(Place, Comparison)], wanted: impl Fn(&Place) -> bool) {
    let mut ratios: Vec<f64> = all.iter().filter(|w| wanted(&w.0)).map(|w| w.1.ratio()).collect();
    ratios.sort_by(f64::total_cmp);
    let Some(last) = ratios.len().checked_sub(1) else { return };
    let at = |share: f64| ratios[(last as f64 * share).round() as usize];
    let missed = ratios.iter().filter(|r| **r > BOUND).count();
    println!(
        "{name:<24} {:>6} {:>6.2} {:>6.2} {:>6.2} {:>6.2} {missed:>7}",
        ratios.len(),
        at(0.0),
        at(0.5),
        at(0.9),
        at(1.0)
    );
}

/// One world, seed by seed.
fn detail(place: &Place, seeds: &[u64], duration: f64) {
    println!("{}", place.describe());
    let results = in_parallel(seeds, |&seed| place.judge(seed, duration));
    for (seed, result) in seeds.iter().zip(results) {
        println!("seed {seed}: {}", result.describe());
    }
}
