//! Faults that take time: suspended and restored machines, clocks that other programs set, servers and names that lie, the ends of
//! eras. Each row is a world, a fault that strikes a clock that is well kept, what must come of it, and limits. They are
//! the second table of docs/faults.md: `UPDATE=1` writes it. The faults of files, signals and memory are those of `tests/system/faults.sh`.

mod liars;
mod names;
mod starts;
mod time;

use crate::plan::Plan;
use rsntpd::engine::contract::ExitReason;
use rsntpd::engine::report::event::{Event, Level};
use sim::limits::{SEEDS, rms};
use sim::scenario::Scenario;
use sim::sweep::in_parallel;
use sim::world::World;
use std::fmt::Write as _;

/// When it strikes.
pub(crate) const EVENT: f64 = 20_000.0;
/// How long it is watched.
const WATCHED: f64 = 10_000.0;
/// Within this the clock is right, seconds.
const RIGHT: f64 = 5e-3;

/// A fault, what must come of it, and how far the clock may be off, seconds.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) happened: &'static str,
    /// The world of a seed, before it runs.
    pub(crate) world: fn(u64) -> World,
    /// When it strikes; zero for what is wrong from the start.
    pub(crate) at: f64,
    pub(crate) strike: fn(&mut World),
    /// The largest error from then on.
    pub(crate) during: f64,
    /// The root mean square of the error in the end.
    pub(crate) after: f64,
    /// After how many seconds it is right; `None` if it must not be touched.
    pub(crate) right: Option<f64>,
    /// How the daemon ends, where it must.
    pub(crate) exit: Option<ExitReason>,
    /// What a line of the log begins with; empty: no warning at all.
    pub(crate) log: &'static str,
    /// What must hold besides.
    pub(crate) check: fn(&World),
}

/// What came of it under one seed.
struct Outcome {
    during: f64,
    right: f64,
    after: f64,
    line: String,
}

pub(crate) fn internet() -> Scenario {
    Scenario { servers: 4, ..Scenario::new("faults", 0.010, 0.001, 1e-9) }
}

/// The same, to be changed.
pub(crate) fn four(seed: u64) -> Plan {
    (0..4).fold(Plan::new(seed), |plan, _| plan.server(0.010, 0.010, 0.001))
}

pub(crate) fn steps(world: &World) -> usize {
    world.hosts[0].events.iter().filter(|(_, event)| matches!(event, Event::TimeReset(_))).count()
}

fn run(fault: &Fault, seed: u64) -> Outcome {
    let mut world = (fault.world)(seed);
    world.run(fault.at);
    let before = world.hosts[0].events.len();
    (fault.strike)(&mut world);
    let (from, mut errors) = (world.time, vec![world.hosts[0].clock.offset]);
    while world.time < from + WATCHED {
        world.run(world.time + 1.0);
        errors.push(world.hosts[0].clock.offset);
    }
    (fault.check)(&world);
    assert_eq!(world.hosts[0].exit, fault.exit, "{}", fault.name);
    let events: Vec<_> = world.hosts[0].events[before..].iter().map(|(_, event)| event.row()).collect();
    let line = if fault.log.is_empty() {
        let warned = events.iter().find(|row| row.level <= Level::Warning);
        assert!(warned.is_none(), "{}: {warned:?}", fault.name);
        String::new()
    } else {
        let found = events.iter().find(|row| row.text.starts_with(fault.log));
        let all: Vec<_> = events.iter().map(|row| &row.text).collect();
        found.unwrap_or_else(|| panic!("{}: {all:?}", fault.name)).text.clone()
    };
    let right = errors.iter().rposition(|error| error.abs() > RIGHT).map_or(0.0, |last| last as f64 + 1.0);
    let during = errors.iter().fold(0.0, |most, error| f64::max(most, error.abs()));
    Outcome { during, right, after: rms(&errors[errors.len() / 2..]), line }
}

/// All seeds: the worst of each, and the first one's line.
fn judge(fault: &Fault) -> Outcome {
    let all: Vec<Outcome> = SEEDS.iter().map(|seed| run(fault, *seed)).collect();
    let worst = |of: fn(&Outcome) -> f64| all.iter().map(of).fold(0.0, f64::max);
    let worst = Outcome {
        during: worst(|o| o.during),
        right: worst(|o| o.right),
        after: worst(|o| o.after),
        line: all[0].line.clone(),
    };
    let Outcome { during, right, after, .. } = worst;
    println!("{}: {during} s, right after {right} s, then {after} s", fault.name);
    assert!(during <= fault.during, "{}: off by {during} s, at most {}", fault.name, fault.during);
    match fault.right {
        Some(limit) => {
            assert!(right <= limit, "{}: right after {right} s, at most {limit}", fault.name);
            assert!(after <= fault.after, "{}: {after} s afterwards", fault.name);
        }
        None => assert!(right > WATCHED / 2.0, "{}: the clock was touched", fault.name),
    }
    worst
}

fn seconds(value: f64) -> String {
    match value {
        v if v >= 1.0 => format!("{v:.0} s"),
        v if v >= 1e-3 => format!("{:.1} ms", v * 1e3),
        v => format!("{:.0} us", v * 1e6),
    }
}

fn row(fault: &Fault, outcome: &Outcome) -> String {
    let error = match fault.right {
        None => format!("stays {}", seconds(outcome.during)),
        Some(_) if outcome.right == 0.0 => {
            format!("at most {}, then {} rms", seconds(outcome.during), seconds(outcome.after))
        }
        Some(_) => {
            let (during, right) = (seconds(outcome.during), seconds(outcome.right));
            format!("{during}, right after {right}, then {} rms", seconds(outcome.after))
        }
    };
    let line = if outcome.line.is_empty() { "no warning".to_owned() } else { format!("`{}`", outcome.line) };
    format!("| {} | {} | {error} | {line} |", fault.name, fault.happened)
}

/// Figures are today's: what is compared is all else.
fn without_figures(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        let figure = c.is_ascii_digit() || c == '.';
        if !figure {
            plain.push(c);
        } else if !plain.ends_with('#') {
            plain.push('#');
        }
    }
    plain.replace("us", "ms")
}

#[test]
fn every_fault_keeps_its_limits_and_stands_in_the_table() {
    const HEAD: &str = "| fault, simulated |";
    let areas = [time::FAULTS, starts::FAULTS, liars::FAULTS, names::FAULTS];
    let faults: Vec<&Fault> = areas.into_iter().flatten().collect();
    let outcomes = in_parallel(&faults, |fault| std::panic::catch_unwind(|| judge(fault)).ok());
    let failed: Vec<_> =
        faults.iter().zip(&outcomes).filter(|(_, o)| o.is_none()).map(|(f, _)| f.name).collect();
    assert!(failed.is_empty(), "see above: {failed:#?}");
    let mut table =
        format!("{HEAD} what happened | error during and after | what the log said |\n|---|---|---|---|\n");
    for (fault, outcome) in faults.iter().zip(outcomes.iter().flatten()) {
        let _ = writeln!(table, "{}", row(fault, outcome));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(HEAD).expect("docs/faults.md has the table");
    let (_, tail) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let tail = if tail.is_empty() { String::new() } else { format!("\n{tail}") };
    let made = format!("{head}{table}{tail}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(without_figures(&made), without_figures(&page), "docs/faults.md (UPDATE=1 writes it)");
}
