//! Which folder of `src/engine/` may know which (`docs/architecture.md`, "Inside the engine").

use super::paths::facts;
use super::source::{Finding, Source};

/// A folder or file of `src/engine/`, and the others of the engine that it may name.
pub struct Room {
    pub name: &'static str,
    pub knows: &'static [&'static str],
}

/// What is above all: it may name everything, and nothing below names it.
const TOP: &[&str] = &["mod", "routes", "control"];

/// The rooms and the only allowed direction.
pub const ROOMS: &[Room] = &[
    // The types of the seam carry what the shell performs and reports: events, requests of mode 6 to the shell, the drift file.
    Room {
        name: "contract",
        knows: &["report::event", "control::shell_request", "clock::Drift", "clock::Record"],
    },
    Room { name: "timers", knows: &["contract"] },
    Room { name: "outbox", knows: &["contract"] },
    Room { name: "reject", knows: &[] },
    Room { name: "auth", knows: &[] },
    Room { name: "estimator", knows: &[] },
    Room { name: "sources", knows: &["estimator", "timers", "contract", "reject"] },
    // TEST12 compares reference identifiers, which the system variables define.
    Room { name: "selection", knows: &["sources", "estimator", "contract", "system::refid_of"] },
    Room { name: "clock", knows: &["estimator", "timers", "outbox", "contract"] },
    Room { name: "system", knows: &["sources", "clock", "contract"] },
    Room { name: "server", knows: &["auth", "system", "reject", "contract"] },
    Room {
        name: "report",
        knows: &["sources", "clock", "system", "timers", "outbox", "reject", "contract"],
    },
];

/// The room of a file of `src/engine/`.
pub fn room_of(file: &str) -> Option<&str> {
    let inner = file.strip_prefix("src/engine/")?;
    let name = inner.split('/').next().unwrap_or(inner);
    Some(name.strip_suffix(".rs").unwrap_or(name))
}

fn below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Checks one file of `src/`.
pub fn check(source: &Source, crates: &[String]) -> Vec<Finding> {
    let Some(name) = room_of(&source.file).filter(|name| !TOP.contains(name)) else { return Vec::new() };
    let Some(room) = ROOMS.iter().find(|r| r.name == name) else {
        let remedy = "add it to ROOMS in tests/tidy/rooms.rs";
        return vec![source.finding(1, "room", format!("there is no room `{name}` in the engine"), remedy)];
    };
    let facts = facts(source, crates);
    let ours = facts.paths.iter().filter_map(|p| Some((p.line, p.name.strip_prefix("crate::engine::")?)));
    let wrong = ours.filter(|(_, path)| !below(path, name) && !room.knows.iter().any(|k| below(path, k)));
    wrong
        .map(|(line, path)| {
            let remedy = match room.knows {
                [] => "it may know no other room of the engine".to_owned(),
                known => format!("it may know {}", known.join(", ")),
            };
            source.finding(line, "room", format!("engine::{name} names engine::{path}"), &remedy)
        })
        .collect()
}

/// Fields of a type: what has more is several things, which have names.
const FIELDS: usize = 14;

/// Types that may have more fields, and why.
pub const WIDE: &[(&str, &str)] =
    &[("Discipline", "the states of one algorithm: they change together, and none is read outside its file")];

/// Finds types of the engine with too many fields.
pub fn wide(source: &Source) -> Vec<Finding> {
    if room_of(&source.file).is_none() {
        return Vec::new();
    }
    let structs = source.syntax.items.iter().filter_map(|item| match item {
        syn::Item::Struct(it) => Some(it),
        _ => None,
    });
    let mut found = Vec::new();
    for it in structs.filter(|it| it.fields.len() > FIELDS) {
        let name = it.ident.to_string();
        if !WIDE.iter().any(|(wide, _)| *wide == name) {
            let what = format!("`{name}` has {} fields, at most {FIELDS}", it.fields.len());
            let line = it.ident.span().start().line;
            found.push(source.finding(line, "fields", what, "make a type of those that belong together"));
        }
    }
    found
}

#[test]
fn wide_types_are_found() {
    let of = |fields: usize| {
        let fields: String = (0..fields).map(|n| format!("f{n}: u8,\n")).collect();
        wide(&Source::parse("src/engine/a.rs", &format!("struct A {{\n{fields}}}")).unwrap()).len()
    };
    assert_eq!((of(14), of(15)), (0, 1));
}

#[test]
fn rooms_know_each_other_in_one_direction() {
    let of = |file: &str, text: &str| -> Vec<String> {
        let found = check(&Source::parse(file, text).unwrap(), &[]);
        found.iter().map(|f| format!("{} {}", f.line, f.what)).collect()
    };
    let none: [String; 0] = [];
    assert_eq!(of("src/engine/sources/a.rs", "use crate::engine::estimator::Sample;"), none);
    assert_eq!(
        of("src/engine/sources/a.rs", "\nuse crate::engine::clock::Clock;"),
        ["2 engine::sources names engine::clock::Clock"]
    );
    assert_eq!(of("src/engine/selection/a.rs", "use crate::engine::system::refid_of;"), none);
    assert_eq!(of("src/engine/selection/a.rs", "use crate::engine::system::System;").len(), 1);
    assert_eq!(of("src/engine/server/a.rs", "use crate::engine::Engine;").len(), 1);
    assert_eq!(of("src/engine/routes/a.rs", "use crate::engine::Engine;"), none);
    assert_eq!(of("src/engine/cellar/a.rs", ""), ["1 there is no room `cellar` in the engine"]);
    assert_eq!(of("src/daemon/a.rs", "use crate::engine::Engine;"), none);
}
