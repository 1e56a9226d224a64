//! Which folder of `src/engine/` may know which (`docs/architecture.md`, "Inside the engine").

use super::paths::facts;
use super::source::{Finding, Source};

/// A folder or file of `src/engine/`, and the others of the engine that it may name.
pub struct Room {
    pub name: &'static str,
    pub knows: &'static [&'static str],
}

/// What is above all: it may name everything, and nothing below names it.
const TOP: &[&str] = &["mod", "routes"];

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
    // An association of NTS has keys of its own, and seals its requests with them.
    Room { name: "sources", knows: &["auth::aead", "estimator", "timers", "contract", "reject"] },
    // TEST12 compares reference identifiers, which the system variables define.
    Room { name: "selection", knows: &["sources", "estimator", "contract", "system::refid_of"] },
    Room { name: "clock", knows: &["estimator", "timers", "outbox", "contract"] },
    Room { name: "system", knows: &["sources", "clock", "contract"] },
    Room { name: "server", knows: &["auth", "system", "reject", "contract"] },
    // It reads the others through a view, and has no way to change them: it does not know the engine.
    Room {
        name: "control",
        knows: &["sources", "clock", "system", "server", "report", "timers", "outbox", "reject", "contract"],
    },
    Room { name: "report", knows: &["sources", "clock", "system", "timers", "outbox", "reject", "contract"] },
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

/// The types that own the state of the engine, each with its folder. Their fields are private.
pub const OWNERS: &[(&str, &str)] = &[
    ("mod", "Engine"),
    ("sources", "Sources"),
    ("sources", "Names"),
    ("clock", "Clock"),
    ("system", "System"),
    ("server", "Server"),
    ("control", "Control"),
    ("report", "Reports"),
    ("timers", "Timers"),
    ("outbox", "Outbox"),
];

/// Whether a `pub(super)` of this file can be seen in other folders of the engine: there is nothing above it but the engine.
fn is_at_the_door(file: &str) -> bool {
    let inner = file.strip_prefix("src/engine/").unwrap_or(file);
    !inner.contains('/') || (inner.matches('/').count() == 1 && inner.ends_with("/mod.rs"))
}

/// Finds fields that can be read across the folders of the engine without being public: all those of owners, and those that are
/// shared by `pub(super)` at the door of a folder, by `pub(crate)` or `pub(in …)`. Plain values have public fields.
pub fn shared_fields(source: &Source) -> Vec<Finding> {
    let Some(room) = room_of(&source.file) else { return Vec::new() };
    let mut found = Vec::new();
    for it in structs(source) {
        let name = it.ident.to_string();
        let owner = OWNERS.contains(&(room, name.as_str()));
        for field in &it.fields {
            let shared = match &field.vis {
                syn::Visibility::Inherited => false,
                syn::Visibility::Public(_) => owner,
                syn::Visibility::Restricted(to) => {
                    owner || is_at_the_door(&source.file) || !to.path.is_ident("super")
                }
            };
            if shared {
                let field = field.ident.as_ref().map_or_else(|| "0".to_owned(), ToString::to_string);
                let what = format!("`{name}.{field}` can be read in other folders of the engine");
                let line = it.ident.span().start().line;
                found.push(source.finding(line, "owners", what, "make it private, with a method"));
            }
        }
    }
    found
}

/// The owners of the table that are in none of the files.
pub fn missing_owners(sources: &[&Source]) -> Vec<String> {
    let is_there = |room: &str, name: &str| {
        let files = sources.iter().filter(|s| room_of(&s.file) == Some(room));
        files.flat_map(|s| structs(s)).any(|it| it.ident == name)
    };
    let gone = OWNERS.iter().filter(|(room, name)| !is_there(room, name));
    gone.map(|(room, name)| format!("OWNERS in tests/tidy/rooms.rs: there is no {name} in {room}")).collect()
}

fn structs(source: &Source) -> impl Iterator<Item = &syn::ItemStruct> {
    source.syntax.items.iter().filter_map(|item| match item {
        syn::Item::Struct(it) => Some(it),
        _ => None,
    })
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
    let mut found = Vec::new();
    for it in structs(source).filter(|it| it.fields.len() > FIELDS) {
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
fn fields_that_other_folders_read_are_found() {
    let of = |file: &str, field: &str| {
        let owner = format!("pub struct Clock {{ {field}: u8 }} pub struct Plain {{ {field}: u8 }}");
        let found = shared_fields(&Source::parse(file, &owner).unwrap());
        found.iter().map(|f| f.what.split('`').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let none: [String; 0] = [];
    assert_eq!(of("src/engine/clock/mod.rs", "a"), none);
    assert_eq!(of("src/engine/clock/mod.rs", "pub a"), ["Clock.a"]);
    assert_eq!(of("src/engine/server/mod.rs", "pub a"), none, "it is not the clock of that name");
    assert_eq!(of("src/engine/clock/mod.rs", "pub(super) a"), ["Clock.a", "Plain.a"]);
    assert_eq!(of("src/engine/timers.rs", "pub(super) a"), ["Clock.a", "Plain.a"]);
    assert_eq!(of("src/engine/server/a.rs", "pub(super) a"), none);
    assert_eq!(of("src/engine/server/a.rs", "pub(in crate::engine) a"), ["Clock.a", "Plain.a"]);
    assert_eq!(of("src/engine/server/a.rs", "pub(crate) a"), ["Clock.a", "Plain.a"]);
    assert_eq!(of("src/daemon/mod.rs", "pub(super) a"), none);
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
    assert_eq!(of("src/engine/control/a.rs", "use crate::engine::Engine;").len(), 1);
    assert_eq!(of("src/engine/control/a.rs", "use crate::engine::server::Server;"), none);
    assert_eq!(of("src/engine/routes/a.rs", "use crate::engine::Engine;"), none);
    assert_eq!(of("src/engine/cellar/a.rs", ""), ["1 there is no room `cellar` in the engine"]);
    assert_eq!(of("src/daemon/a.rs", "use crate::engine::Engine;"), none);
}
