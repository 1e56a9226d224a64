//! What we build upon: licences, versions, and the compiler it all needs. The same lists stand in
//! `.cargo/deny.toml` for those who can run cargo-deny with an advisory database.

use cargo_metadata::semver::Version;
use cargo_metadata::{Metadata, MetadataCommand, Package};
use spdx::{Expression, ParseMode};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Licences that ask for no more than to be named: they go with MIT OR Apache-2.0.
const LICENCES: [&str; 6] = ["MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "Unicode-3.0", "Zlib"];

/// Crates that are there in more than one version: name, the version to be passed over, why.
const DOUBLES: &[(&str, &str, &str)] = &[
    (
        "getrandom",
        "0.2.17",
        "ring is still on 0.2, which reads /dev/urandom where the kernel has no getrandom",
    ),
    ("nix", "0.31.4", "rustyline 19 is not yet on 0.32; it is thin, and what is not called is not linked"),
    ("syn", "2.0.119", "macros of ratatui and divan are still at 2; nothing of it is in the program"),
];

/// Where rsntpd runs: what other platforms would need is not built and not judged.
const TARGETS: [&str; 3] =
    ["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl", "aarch64-unknown-linux-gnu"];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All crates that go into the program or its tests on any of the platforms.
fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    let targets = TARGETS.iter().flat_map(|t| ["--filter-platform", t]);
    let options: Vec<String> = ["--locked"].into_iter().chain(targets).map(str::to_owned).collect();
    let metadata = command.manifest_path(top().join("Cargo.toml")).other_options(options).exec().unwrap();
    assert!(metadata.packages.len() > 50, "only {} crates were found", metadata.packages.len());
    metadata
}

fn foreign(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.packages.iter().filter(|p| !metadata.workspace_members.contains(&p.id))
}

fn judge(found: impl IntoIterator<Item = String>) {
    let lines: Vec<String> = found.into_iter().collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// Why a licence is not acceptable, if it is not. `a/b`, as old crates write it, means `a OR b`.
fn licence_fault(licence: Option<&str>) -> Option<String> {
    let Some(text) = licence else { return Some("it names no licence".to_owned()) };
    let expression = match Expression::parse_mode(text, ParseMode::LAX) {
        Ok(expression) => expression,
        Err(e) => return Some(format!("its licence {text:?} is no SPDX expression: {}", e.reason)),
    };
    // An exception only ever adds to what is permitted, and so far none was needed.
    let allowed = |r: &spdx::LicenseReq| {
        r.addition.is_none() && r.license.id().is_some_and(|id| LICENCES.contains(&id.name))
    };
    let fault = || format!("its licence {text} is not among {}", LICENCES.join(", "));
    (!expression.evaluate(allowed)).then(fault)
}

/// Crates in several versions, without those that are listed; and what is listed in vain.
fn doubles(crates: &[(String, Version)], listed: &[(&str, &str, &str)]) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, version) in crates {
        versions.entry(name).or_default().insert(version.to_string());
    }
    let mut found = Vec::new();
    for (name, version, _) in listed {
        let passed = versions.get_mut(name).is_some_and(|all| all.len() > 1 && all.remove(*version));
        if !passed {
            found
                .push(format!("{name} {version} is listed as a double and is none: remove it from the list"));
        }
    }
    let several = versions.into_iter().filter(|(_, all)| all.len() > 1);
    found.extend(several.map(|(name, all)| {
        let all: Vec<String> = all.into_iter().collect();
        format!("{name} is there as {}: bring its users to one, or list it with a reason", all.join(" and "))
    }));
    found
}

/// Crates that need a later compiler than we promise.
fn too_new<'a>(ours: &Version, needs: impl Iterator<Item = (&'a str, &'a Version)>) -> Vec<String> {
    let later = needs.filter(|(_, needed)| *needed > ours);
    later.map(|(name, needed)| format!("{name} needs Rust {needed}, rust-version says {ours}")).collect()
}

/// The version in `rustc 1.95.0 (…)`.
fn compiler(said: &str) -> Option<Version> {
    let mut version: Version = said.split(' ').nth(1)?.parse().ok()?;
    // A nightly of a version has what that version has, nearly.
    version.pre = cargo_metadata::semver::Prerelease::EMPTY;
    Some(version)
}

/// What `.cargo/deny.toml` says otherwise than this file.
fn disagreements(deny: &toml::Table) -> Vec<String> {
    let words = |list: Option<&toml::Value>| -> BTreeSet<String> {
        let items = list.and_then(toml::Value::as_array).into_iter().flatten();
        items.map(|i| i.as_str().map_or_else(|| format!("{i:?}"), str::to_owned)).collect()
    };
    let at = |table: &str, key: &str| deny.get(table).and_then(|t| t.get(key));
    let skipped = at("bans", "skip").and_then(toml::Value::as_array).into_iter().flatten();
    let skipped: BTreeSet<String> =
        skipped.map(|s| s.get("crate").and_then(toml::Value::as_str).unwrap_or("?").to_owned()).collect();
    let ours = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<BTreeSet<String>>();
    let passed: BTreeSet<String> =
        DOUBLES.iter().map(|(name, version, _)| format!("{name}@{version}")).collect();
    let lists = [
        ("licenses.allow", words(at("licenses", "allow")), ours(&LICENCES)),
        ("graph.targets", words(at("graph", "targets")), ours(&TARGETS)),
        ("bans.skip", skipped, passed),
    ];
    let mut found: Vec<String> = lists
        .into_iter()
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(key, theirs, ours)| {
            format!("{key} of .cargo/deny.toml is {theirs:?}, tests/tidy/dependencies.rs has {ours:?}")
        })
        .collect();
    let deny_doubles = at("bans", "multiple-versions").and_then(toml::Value::as_str) == Some("deny");
    let in_tests = at("bans", "multiple-versions-include-dev").and_then(toml::Value::as_bool) == Some(true);
    if !deny_doubles || !in_tests {
        found.push("bans of .cargo/deny.toml: double versions are not denied everywhere".to_owned());
    }
    found
}

#[test]
fn licences_are_ours_to_use() {
    let metadata = metadata();
    judge(foreign(&metadata).filter_map(|p| {
        licence_fault(p.license.as_deref()).map(|fault| format!("{} {}: {fault}", p.name, p.version))
    }));
    // Each of the list is needed by somebody: a list that only grows says nothing.
    let idle = LICENCES.iter().filter(|l| {
        let mut texts = foreign(&metadata).filter_map(|p| p.license.as_deref());
        !texts.any(|text| text.contains(**l))
    });
    judge(idle.map(|l| format!("{l} is allowed and no crate has it: remove it from the list")));
}

#[test]
fn every_crate_comes_in_one_version() {
    let metadata = metadata();
    let crates: Vec<(String, Version)> =
        foreign(&metadata).map(|p| (p.name.to_string(), p.version.clone())).collect();
    judge(doubles(&crates, DOUBLES));
}

#[test]
fn the_promised_compiler_is_enough_and_tested() {
    let metadata = metadata();
    let ours = metadata.root_package().unwrap().rust_version.clone().expect("Cargo.toml has no rust-version");
    judge(too_new(
        &ours,
        foreign(&metadata).filter_map(|p| Some((p.name.as_str(), p.rust_version.as_ref()?))),
    ));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let here = compiler(&said).expect("rustc did not tell its version");
    println!("promised: Rust {ours}; these tests run with {here}");
    assert!(here >= ours, "rust-version says {ours}, and the tests run with {here}");
}

#[test]
fn deny_toml_says_the_same() {
    let text = std::fs::read_to_string(top().join(".cargo/deny.toml")).unwrap();
    judge(disagreements(&text.parse().unwrap()));
}

#[test]
fn bad_licences_are_told() {
    for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
        assert_eq!(licence_fault(Some(good)), None, "{good}");
    }
    let bad = [
        "GPL-3.0-only",
        "MIT AND GPL-2.0-or-later",
        "Apache-2.0 WITH LLVM-exception",
        "LicenseRef-ours",
        "free",
    ];
    for bad in bad {
        assert!(licence_fault(Some(bad)).is_some(), "{bad}");
    }
    assert!(licence_fault(None).is_some());
}

#[test]
fn doubles_are_told() {
    let crates = [("a", "1.0.0"), ("a", "2.0.0"), ("b", "1.0.0")];
    let crates = crates.map(|(name, version)| (name.to_owned(), version.parse().unwrap()));
    assert_eq!(doubles(&crates, &[]).len(), 1);
    assert_eq!(doubles(&crates, &[("a", "1.0.0", "the old one")]), [""; 0]);
    assert_eq!(doubles(&crates[1..], &[("a", "2.0.0", "alone")]).len(), 1);
    assert_eq!(doubles(&crates, &[("a", "3.0.0", "not there")]).len(), 2);
}

#[test]
fn late_compilers_are_told() {
    let version = |text: &str| -> Version { text.parse().unwrap() };
    let needs = [("old", version("1.60.0")), ("same", version("1.95.0")), ("new", version("1.96.0"))];
    let found = too_new(&version("1.95.0"), needs.iter().map(|(name, v)| (*name, v)));
    assert_eq!(found, ["new needs Rust 1.96.0, rust-version says 1.95.0"]);
    assert_eq!(compiler("rustc 1.95.0 (59807616e 2026-04-14)\n"), Some(version("1.95.0")));
    assert_eq!(compiler("rustc 1.97.0-nightly (abc)"), Some(version("1.97.0")));
    assert_eq!(compiler("gcc"), None);
}

#[test]
fn another_deny_toml_is_told() {
    let text = std::fs::read_to_string(top().join(".cargo/deny.toml")).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        disagreements(&text.replace(from, to).parse().unwrap()).len()
    };
    assert_eq!(changed("\"MIT\",", "\"MIT\", \"GPL-3.0-only\","), 1);
    assert_eq!(changed("\"Apache-2.0\",", ""), 1);
    assert_eq!(changed("skip = [", "skip = [{ crate = \"a@1.0.0\", reason = \"\" }, "), 1);
    assert_eq!(changed("multiple-versions = \"deny\"", "multiple-versions = \"warn\""), 1);
    assert_eq!(changed("aarch64", "armv7"), 1);
}

/// Crates that only the companions use, as Cargo.toml groups them.
const COMPANIONS: [&str; 4] = ["dns-lookup", "rustyline", "ratatui", "plotters"];

/// The crates that are linked into the daemon on x86-64: macros, which run while it is built, are not.
fn in_the_daemon() -> BTreeSet<String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(top()).args(["tree", "--locked", "-e", "normal,no-proc-macro", "--prefix", "none"]);
    command.args(["--target", TARGETS[0], "-f", "{p}"]);
    let output = command.args(COMPANIONS.iter().flat_map(|name| ["--prune", name])).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "rsntpd").map(str::to_owned).collect()
}

#[test]
fn the_crates_in_the_daemon_are_listed_with_who_keeps_them() {
    let text = std::fs::read_to_string(top().join("docs/dependencies.md")).unwrap();
    let rows = text.lines().filter_map(|l| l.strip_prefix("| ")?.split(" | ").next());
    let listed: BTreeSet<String> = rows.filter(|name| *name != "crate").map(str::to_owned).collect();
    let linked = in_the_daemon();
    let lacking = linked.difference(&listed).map(|n| format!("docs/dependencies.md has no row for {n}"));
    let idle = listed.difference(&linked).map(|n| format!("docs/dependencies.md: {n} is not in the daemon"));
    judge(lacking.chain(idle));
}
