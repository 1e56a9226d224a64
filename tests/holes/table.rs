//! The table: which holes there have been, by which rule ours has not got them, and which tests try.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A row of the table.
pub struct Row {
    /// The numbers of the CVEs, without their prefix, or of a list of faults.
    pub holes: &'static str,
    /// What must hold.
    pub rule: &'static str,
    pub tried: Tried,
}

/// How a row is tried.
pub enum Tried {
    By(&'static [Test]),
    /// It cannot be triggered here, for this reason.
    Not(&'static str),
}

#[derive(Clone, Copy)]
pub struct Test {
    pub name: &'static str,
    pub run: fn(),
    pub place: Place,
}

/// What a test needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nothing but the engine or the companions.
    Anywhere,
    /// A network namespace of its own, which only root makes.
    Namespace,
}

/// What became of a test.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    Held,
    Failed,
    Skipped(String),
}

/// Tests by the names of their functions.
macro_rules! tried {
    ($($test:ident),* $(,)?) => {
        crate::table::Tried::By(&[$(crate::table::Test {
            name: stringify!($test),
            run: $test,
            place: crate::table::Place::Anywhere,
        }),*])
    };
    (in a namespace: $($test:ident),* $(,)?) => {
        crate::table::Tried::By(&[$(crate::table::Test {
            name: stringify!($test),
            run: $test,
            place: crate::table::Place::Namespace,
        }),*])
    };
}
pub(crate) use tried;

impl Row {
    pub fn tests(&self) -> &'static [Test] {
        match self.tried {
            Tried::By(tests) => tests,
            Tried::Not(_) => &[],
        }
    }

    fn verdict(&self, outcomes: &BTreeMap<&str, Outcome>) -> String {
        if let Tried::Not(why) = self.tried {
            return format!("not tried: {why}");
        }
        let known: Vec<_> = self.tests().iter().map(|test| outcomes.get(test.name)).collect();
        let skipped = known.iter().flatten().find_map(|outcome| match outcome {
            Outcome::Skipped(why) => Some(why),
            _ => None,
        });
        match skipped {
            _ if known.contains(&Some(&Outcome::Failed)) => "NO".to_owned(),
            Some(why) => format!("skipped: {why}"),
            None if known.contains(&None) => "not run".to_owned(),
            None => "yes".to_owned(),
        }
    }
}

/// The table as it is printed: rows of which no test was run are left out.
pub fn printed(rows: &[&Row], outcomes: &BTreeMap<&str, Outcome>) -> String {
    let mut text = String::from("\nCVE | rule | held\n");
    for row in rows {
        let verdict = row.verdict(outcomes);
        if verdict != "not run" {
            let _ = writeln!(text, "{} | {} | {verdict}", row.holes, row.rule);
        }
    }
    text
}

/// The table of docs/holes.md.
pub fn page(rows: &[&Row]) -> String {
    let mut text = String::from("| CVE | rule | held: tried by |\n|---|---|---|\n");
    for row in rows {
        let tried = match row.tried {
            Tried::By(tests) => tests.iter().map(|t| format!("`{}`", t.name)).collect::<Vec<_>>().join(", "),
            Tried::Not(why) => format!("not tried: {why}"),
        };
        let _ = writeln!(text, "| {} | {} | {tried} |", row.holes, row.rule);
    }
    text
}

/// The numbers of CVEs in a text, as `2015-7704`; `2016-4953..4955` are three, and `2015-7704, 7705` two.
pub fn numbers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut year = String::new();
    let mut last = 0u32;
    let is_number = |c: char| c.is_ascii_digit() || c == '-' || c == '.';
    for word in text.split(|c: char| !is_number(c)).map(|word| word.trim_matches(|c| c == '-' || c == '.')) {
        let (of, rest) = word.split_once('-').unwrap_or(("", word));
        if of.len() == 4 && of.starts_with("20") {
            of.clone_into(&mut year);
        } else if !of.is_empty() || year.is_empty() || rest.len() < 4 {
            continue;
        }
        let (first, end) = rest.split_once("..").unwrap_or((rest, rest));
        let (Ok(first), Ok(end)) = (first.parse::<u32>(), end.parse::<u32>()) else { continue };
        // A year alone, or a number that does not go on where the last one was.
        if of.is_empty() && (first < 1_000 || (2_000..2_100).contains(&first) || first < last) {
            continue;
        }
        last = end;
        found.extend((first..=end).map(|number| format!("{year}-{number:04}")));
    }
    found
}
