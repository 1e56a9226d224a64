//! The published holes of NTP daemons, each as a test that would show it here, by the engine, or the daemon and its companions over
//! sockets. At the end stands a table: CVE, rule, held. `UPDATE=1` writes docs/holes.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod authentication;
mod broadcast;
mod clock;
mod control;
mod exchange;
mod files;
mod kisses;
mod nts;
mod refclocks;
mod sockets;
mod symmetric;
mod table;
mod tools;
mod world;

use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use table::{Outcome, Place, Row, Test};

type Outcomes = Arc<Mutex<BTreeMap<&'static str, Outcome>>>;

fn main() {
    let arguments = Arguments::from_args();
    let outcomes = Outcomes::default();
    let mut trials: Vec<Trial> =
        rows().iter().flat_map(|row| row.tests()).map(|test| trial(*test, &outcomes)).collect();
    trials.push(Trial::test("the_page_has_the_table", the_page_has_the_table));
    let missing = !shared().is_dir();
    trials.push(Trial::test("no_hole_is_left_out", no_hole_is_left_out).with_ignored_flag(missing));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        print!("{}", table::printed(&rows(), &outcomes.lock().unwrap()));
    }
    conclusion.exit();
}

/// All rows, as docs/holes.md has them.
fn rows() -> Vec<&'static Row> {
    let areas = [
        exchange::ROWS,
        kisses::ROWS,
        authentication::ROWS,
        symmetric::ROWS,
        broadcast::ROWS,
        clock::ROWS,
        sockets::ROWS,
        control::ROWS,
        files::ROWS,
        tools::ROWS,
        nts::ROWS,
        refclocks::ROWS,
    ];
    areas.into_iter().flatten().collect()
}

/// A test in a thread of its own, whose name is the test's and whose namespace is no other test's.
fn trial(test: Test, outcomes: &Outcomes) -> Trial {
    let outcomes = Arc::clone(outcomes);
    Trial::test(test.name, move || {
        let attempt = move || {
            let lacking = if test.place == Place::Namespace { world::lacking() } else { None };
            if let Some(reason) = lacking {
                skip::because(reason);
                return Outcome::Skipped(reason.to_owned());
            }
            (test.run)();
            Outcome::Held
        };
        let thread = std::thread::Builder::new().name(test.name.to_owned()).spawn(attempt).unwrap();
        let outcome = thread.join().unwrap_or(Outcome::Failed);
        outcomes.lock().unwrap().insert(test.name, outcome.clone());
        if outcome == Outcome::Failed { Err(Failed::without_message()) } else { Ok(()) }
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shared() -> PathBuf {
    root().join("../shared/spec")
}

fn the_page_has_the_table() -> Result<(), Failed> {
    let path = root().join("docs/holes.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, _) = page.split_once("| CVE |").ok_or("no table")?;
    let made = format!("{head}{}", table::page(&rows()));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    if made == page { Ok(()) } else { Err("docs/holes.md has another table (UPDATE=1 writes it)".into()) }
}

/// Every CVE that the reference lists has a row.
fn no_hole_is_left_out() -> Result<(), Failed> {
    let read = |name: &str| std::fs::read_to_string(shared().join(name)).unwrap();
    let modes = read("modes.md");
    let rules = modes.split("\n## ").find(|section| section.starts_with("8.")).unwrap();
    let lists = read("security.md") + rules;
    let listed: String = lists.lines().filter(|line| line.starts_with('|')).collect();
    let known: BTreeSet<String> = rows().iter().flat_map(|row| table::numbers(row.holes)).collect();
    let missing: BTreeSet<_> = table::numbers(&listed).into_iter().filter(|n| !known.contains(n)).collect();
    assert!(table::numbers(&listed).len() > 90, "the lists are not understood by this test");
    if missing.is_empty() { Ok(()) } else { Err(format!("without a row: {missing:?}").into()) }
}
