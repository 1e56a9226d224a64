//! The rules of the house, read from the source itself; `docs/architecture.md` gives the reasons.
//!
//! Each rule is a function over text in `tests/tidy/`, with a test on a text that breaks it. Here
//! they meet the repository. A rule that turns out wrong is changed there with a reason in the
//! commit, and never worked round.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod assertions;
mod dependencies;
mod events;
mod glossary;
mod house;
mod layers;
mod map;
mod paths;
mod rooms;
mod signatures;
mod size;
mod source;
mod words;

use cargo_metadata::{DepKindInfo, DependencyKind, MetadataCommand};
use house::Dependency;
use source::{Finding, Source, files_under, parse_all};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Folders with files of ours.
const FOLDERS: [&str; 9] =
    [".cargo", ".ci", "src", "tests", "benches", "conf", "rpm", "init.d", "fuzz/fuzz_targets"];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Assertions of invariants that `src` has at least.
const ASSERTIONS: usize = 60;

/// The Rust files of our crate.
fn sources() -> Vec<Source> {
    sources_of(&["src", "tests", "benches"])
}

fn sources_of(folders: &[&str]) -> Vec<Source> {
    parse_all(top(), &files_under(top(), folders)).unwrap_or_else(|f| panic!("{f}"))
}

/// What Cargo.toml lists, under the names that the source uses.
fn dependencies() -> Vec<Dependency> {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let options = ["--locked".to_owned(), "--filter-platform".to_owned(), host];
    let mut command = MetadataCommand::new();
    let metadata = command.manifest_path(top().join("Cargo.toml")).other_options(options).exec().unwrap();
    let resolve = metadata.resolve.unwrap();
    let root = resolve.nodes.into_iter().find(|n| Some(&n.id) == resolve.root.as_ref()).unwrap();
    let test_only = |kinds: &[DepKindInfo]| kinds.iter().all(|k| k.kind == DependencyKind::Development);
    let listed = root.deps.into_iter();
    listed.map(|d| Dependency { for_tests: test_only(&d.dep_kinds), name: d.name }).collect()
}

fn crates() -> Vec<String> {
    dependencies().into_iter().map(|d| d.name).collect()
}

/// Fails with all that was found, a line each.
fn judge<T: Display>(found: impl IntoIterator<Item = T>) {
    let lines: Vec<String> = found.into_iter().map(|f| f.to_string()).collect();
    assert!(lines.is_empty(), "{} broken rules:\n{}\n", lines.len(), lines.join("\n"));
}

#[test]
fn layers_know_what_they_may_and_hold_what_they_must() {
    let (sources, crates) = (sources(), crates());
    let ours: Vec<&Source> = sources.iter().filter(|s| s.file.starts_with("src/")).collect();
    assert!(ours.len() > 50, "only {} files of src were read", ours.len());
    judge(ours.iter().flat_map(|s| layers::check(s, &crates, layers::EXCEPTIONS)));
    judge(layers::idle_exceptions(&sources, &crates, layers::EXCEPTIONS));
    // A table that names what is not there protects nothing.
    let gone = layers::HOMES.iter().filter(|(name, _)| !crates.iter().any(|c| c == name));
    judge(gone.map(|(name, _)| format!("HOMES in tests/tidy/layers.rs: {name} is no dependency")));
}

#[test]
fn every_event_is_raised() {
    let sources = sources();
    assert!(events::variants(&sources).len() > 20, "the events were not found");
    judge(events::never_raised(&sources));
}

#[test]
fn the_rooms_of_the_engine_know_what_they_may() {
    let (sources, crates) = (sources(), crates());
    let engine: Vec<&Source> = sources.iter().filter(|s| rooms::room_of(&s.file).is_some()).collect();
    assert!(engine.len() > 40, "only {} files of the engine were read", engine.len());
    judge(engine.iter().flat_map(|s| rooms::check(s, &crates)));
    judge(engine.iter().flat_map(|s| rooms::wide(s)));
    judge(engine.iter().flat_map(|s| rooms::shared_fields(s)));
    judge(rooms::missing_owners(&engine));
    let names: BTreeSet<&str> = engine.iter().filter_map(|s| rooms::room_of(&s.file)).collect();
    let gone = rooms::ROOMS.iter().filter(|room| !names.contains(room.name));
    judge(gone.map(|room| format!("ROOMS in tests/tidy/rooms.rs: there is no {}", room.name)));
}

#[test]
fn invariants_are_asserted_in_sentences() {
    let sources = sources_of(&["src"]);
    let count: usize = sources.iter().map(|s| assertions::assertions(s).lines.len()).sum();
    assert!(count >= ASSERTIONS, "src has {count} debug assertions, at least {ASSERTIONS} are wanted");
    judge(sources.iter().flat_map(assertions::check));
}

#[test]
fn signatures_say_what_their_arguments_are() {
    judge(sources_of(&["src"]).iter().flat_map(signatures::check));
}

#[test]
fn files_and_functions_are_short() {
    judge(sources_of(&FOLDERS).iter().flat_map(size::check));
}

#[test]
fn nothing_is_left_over_silenced_or_unsafe_without_a_word() {
    let mut found: Vec<Finding> = sources_of(&FOLDERS).iter().flat_map(words::check).collect();
    for file in files_under(top(), &FOLDERS).iter().filter(|f| !f.ends_with(".rs")) {
        // What is not text has no words.
        if let Ok(text) = std::fs::read_to_string(top().join(file)) {
            found.extend(words::notes(file, &text));
        }
    }
    judge(found);
}

#[test]
fn the_glossarys_words_stay_out_of_clean_folders() {
    let sources = sources();
    judge(sources.iter().flat_map(glossary::check));
    // A folder that is not there keeps nothing clean, and a word that is not there needs no leave.
    for (folder, left) in glossary::CLEAN {
        let texts = || sources.iter().filter(|s| s.file.starts_with(&format!("{folder}/"))).map(|s| &s.text);
        assert!(texts().count() > 0, "CLEAN in tests/tidy/glossary.rs: there is no {folder}");
        let gone = left.iter().filter(|word| !texts().any(|text| text.contains(**word)));
        judge(
            gone.map(|word| format!("{folder}: {word} is gone, take it off CLEAN in tests/tidy/glossary.rs")),
        );
    }
}

#[test]
fn scripts_say_what_reads_them_and_parse() {
    let mut read = 0;
    let mut found = Vec::new();
    for file in files_under(top(), &FOLDERS).iter().filter(|f| !f.ends_with(".rs")) {
        let Ok(text) = std::fs::read_to_string(top().join(file)) else { continue };
        let mode = std::fs::metadata(top().join(file)).unwrap().permissions().mode();
        found.extend(house::script(file, &text, mode & 0o111 != 0));
        read += usize::from(file.ends_with(".sh"));
    }
    assert!(read > 5, "only {read} scripts were read");
    judge(found);
}

#[test]
fn every_crate_is_used_where_it_is_listed() {
    judge(house::unused(&dependencies(), &sources()));
}

#[test]
fn the_top_level_is_in_order() {
    let names = house::names_in(top());
    assert!(names.iter().any(|n| n == "Cargo.toml"));
    judge(house::top_level(&names));
}

#[test]
fn the_map_is_true() {
    let sources = sources();
    let exists = |path: &str| top().join(path).exists();
    let read = |page: &str| {
        let text = std::fs::read_to_string(top().join(page)).unwrap();
        map::check(page, &text, &sources, &exists)
    };
    let map = read("docs/architecture.md");
    assert!(map.paths.len() > 30 && map.functions > 20, "the map's references were not found");
    let others = [read("CONTRIBUTING.md"), read("docs/discipline.md"), read("docs/constants.md")];
    judge(map.found.iter().chain(others.iter().flat_map(|page| &page.found)));
    let folder = |s: &Source| Path::new(&s.file).parent().map(|p| p.to_string_lossy().into_owned());
    let folders = sources.iter().filter_map(folder);
    let layers: BTreeSet<String> =
        folders.filter(|f| f.starts_with("src/") && f.matches('/').count() == 1).collect();
    judge(
        map::unmapped(&map, &layers).iter().map(|f| format!("docs/architecture.md: {f} is not on the map")),
    );
}
