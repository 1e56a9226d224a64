//! How well our loop keeps the clock, in the simulator: `make accuracy`.
//!
//! It prints the table of the scenarios that have goals, beside the figures of the peers; draws charts of
//! them (`--plot`); or leaves the table and runs worlds that nobody chose (`--worlds`).

mod figures;
mod options;
mod plot;
mod table;
mod worlds;

use options::Options;
use sim::scenario::{Scenario, table as scenarios};

fn main() {
    let options = Options::read();
    if options.worlds || options.world.is_some() || options.custom.is_some() {
        return worlds::print(&options);
    }
    let named = |scenario: &Scenario| options.names.iter().any(|name| name == scenario.name);
    let all = scenarios();
    if let Some(name) = options.names.iter().find(|name| all.iter().all(|s| s.name != name.as_str())) {
        let known: Vec<&str> = all.iter().map(|s| s.name).collect();
        options::fail(&format!("no such scenario: {name}; there are {}", known.join(" ")));
    }
    let chosen: Vec<Scenario> = all.into_iter().filter(|s| options.names.is_empty() || named(s)).collect();
    let seeds = options.seeds(5);
    table::print(&chosen, &seeds, options.duration);
    if let Some(folder) = &options.plot
        && let Err(error) = plot::draw(folder, &chosen, &seeds, options.duration)
    {
        eprintln!("accuracy: {error}");
        std::process::exit(1);
    }
}
