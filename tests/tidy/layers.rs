//! Which layer may know which, and what a layer must not hold (the table of `docs/architecture.md`).

use super::paths::{Facts, facts};
use super::source::{Finding, Source};
use std::collections::BTreeSet;

/// A layer: a folder of `src/`, or one of the files at its top.
pub struct Layer {
    pub name: &'static str,
    /// Other modules of ours that it may name.
    pub knows: &'static [&'static str],
    /// External crates that it may name; `None`: any that [`HOMES`] does not keep elsewhere.
    pub crates: Option<&'static [&'static str]>,
}

/// The layers and the only allowed direction.
pub const LAYERS: &[Layer] = &[
    // The crate's root only declares the layers.
    Layer { name: "lib", knows: &[], crates: Some(&[]) },
    // Two programs. What neither names, the linker leaves out: the daemon has nothing of the companions.
    Layer { name: "main", knows: &["daemon"], crates: Some(&[]) },
    Layer { name: "bin", knows: &["tools"], crates: Some(&[]) },
    Layer { name: "daemon", knows: &["engine", "config", "sys", "wire", "check", "units"], crates: None },
    // What a client may do is the access list's, so that --explain and the daemon cannot differ.
    Layer {
        name: "check",
        knows: &["config", "engine::server::access", "units"],
        crates: Some(&["serde_json"]),
    },
    // Companions look from outside. But there is one way to compute a code, one to read and set the
    // clock, to get randomness, to catch a signal and to give up root: what the daemon uses.
    Layer {
        name: "tools",
        knows: &[
            "wire",
            "config",
            "units",
            "sys::clock",
            "sys::random",
            "sys::signals",
            "sys::privileges",
            "sys::zone",
            "engine::auth",
        ],
        crates: None,
    },
    // Of the configuration, the engine knows what it means and not how it is read.
    // The crates compute: a generator that is given its seed, digests, the error function, comparison in constant time, overwriting of keys; one
    // writes the matches over the kinds of sources.
    Layer {
        name: "engine",
        knows: &["wire", "config::model", "units"],
        crates: Some(&[
            "aes",
            "aes_gcm_siv",
            "aes_siv",
            "cmac",
            "enum_dispatch",
            "libm",
            "md5",
            "rand_chacha",
            "ripemd",
            "sha1",
            "sha2",
            "siphasher",
            "subtle",
            "zeroize",
        ]),
    },
    Layer {
        name: "config",
        knows: &["units"],
        // Parsing, drawing diagnostics, finding the word that was meant, the hash of a leap second file, secrets that go when they are dropped.
        crates: Some(&["nom", "annotate_snippets", "sha1", "strsim", "zeroize"]),
    },
    Layer { name: "sys", knows: &["units"], crates: None },
    // gpsd speaks JSON; the daemon has that crate for --check --json anyway. Keys are overwritten when they are let go.
    Layer { name: "wire", knows: &["units"], crates: Some(&["serde_json", "zeroize"]) },
    Layer { name: "units", knows: &[], crates: Some(&[]) },
];

/// Crates that live in one layer only.
pub const HOMES: &[(&str, &[&str])] = &[
    ("nom", &["config"]),
    ("mio", &["daemon"]),
    // And rsntpdate's, which has its own few lines to log.
    ("syslog", &["daemon", "tools"]),
    ("daemonize", &["daemon"]),
    // The engine counts seconds: only what is written for people has local dates.
    ("chrono", &["daemon", "tools"]),
    ("signal_hook", &["sys"]),
    // TLS is for the key exchange: the engine seals and opens packets, and knows nothing of certificates.
    ("rustls", &["daemon"]),
    // Terminals, charts and names of addresses are for people: nothing of them is linked into the daemon.
    ("ratatui", &["tools"]),
    ("rustyline", &["tools"]),
    ("plotters", &["tools"]),
    ("dns_lookup", &["tools"]),
    // Beside the system calls of `sys`, the shell needs names of signals, errors and the machine.
    ("nix", &["sys", "daemon"]),
];

/// Something that some layers must not name.
pub struct Ban {
    pub layers: &'static [&'static str],
    pub what: Name,
    pub instead: &'static str,
}

/// How it is named.
#[derive(Clone, Copy)]
pub enum Name {
    /// A path, and all that is below it.
    Path(&'static str),
    /// A macro.
    Macro(&'static str),
    /// A method, or the end of a path.
    Call(&'static str),
    /// A `static` item.
    Static,
}

/// Layers whose result depends on nothing but what they are given.
const PURE: &[&str] = &["units", "wire", "config", "check", "engine"];
/// Layers that nobody but the shell may make speak.
const QUIET: &[&str] = &["units", "wire", "config", "check", "engine", "sys"];

const TIME: &str = "time is handed in: `Now` or a `MonoTime`";
const FILES: &str = "the shell opens files and hands in their octets";
const SOCKETS: &str = "sockets live in src/sys and src/daemon; datagrams are handed in and out";
const STATE: &str = "state is a field of a value that the caller owns";
const RANDOM: &str = "use the engine's generator, whose seed the shell gives";
const SPEAK: &str = "return a value, a diagnostic or an `Event`: the shell tells it";
const ORDER: &str = "its order differs from run to run: use BTreeMap, BTreeSet or Vec";
const SHELL: &str = "that is the shell's (src/daemon)";

const fn ban(layers: &'static [&'static str], what: Name, instead: &'static str) -> Ban {
    Ban { layers, what, instead }
}

/// What must not be named where, and what to do instead.
pub const BANS: &[Ban] = &[
    ban(PURE, Name::Path("std::time::Instant"), TIME),
    ban(PURE, Name::Path("std::time::SystemTime"), TIME),
    ban(PURE, Name::Path("std::time::UNIX_EPOCH"), TIME),
    ban(PURE, Name::Path("std::fs"), FILES),
    // Of `std::os`, a path made of octets is no file yet; the rest is the machine.
    ban(PURE, Name::Path("std::os::fd"), FILES),
    ban(PURE, Name::Path("std::os::linux"), FILES),
    ban(PURE, Name::Path("std::os::unix::fs"), FILES),
    ban(PURE, Name::Path("std::os::unix::io"), FILES),
    ban(PURE, Name::Path("std::os::unix::net"), SOCKETS),
    ban(PURE, Name::Path("std::os::unix::process"), SHELL),
    ban(PURE, Name::Path("std::io::stdin"), FILES),
    ban(PURE, Name::Path("std::io::stdout"), SPEAK),
    ban(PURE, Name::Path("std::io::stderr"), SPEAK),
    ban(PURE, Name::Call("exists"), FILES),
    ban(PURE, Name::Call("try_exists"), FILES),
    ban(PURE, Name::Call("is_file"), FILES),
    ban(PURE, Name::Call("is_dir"), FILES),
    ban(PURE, Name::Call("read_dir"), FILES),
    ban(PURE, Name::Call("canonicalize"), FILES),
    ban(PURE, Name::Call("metadata"), FILES),
    ban(PURE, Name::Path("std::net::UdpSocket"), SOCKETS),
    ban(PURE, Name::Path("std::net::TcpStream"), SOCKETS),
    ban(PURE, Name::Path("std::net::TcpListener"), SOCKETS),
    ban(PURE, Name::Path("std::net::ToSocketAddrs"), "names are resolved by the shell: `Output::Resolve`"),
    ban(PURE, Name::Call("to_socket_addrs"), "names are resolved by the shell: `Output::Resolve`"),
    ban(PURE, Name::Path("std::thread"), "everything here runs in its caller's thread"),
    ban(PURE, Name::Path("std::sync"), STATE),
    ban(PURE, Name::Path("std::cell"), STATE),
    ban(PURE, Name::Static, STATE),
    ban(PURE, Name::Macro("thread_local"), STATE),
    ban(PURE, Name::Path("std::env::var"), SHELL),
    ban(PURE, Name::Path("std::env::var_os"), SHELL),
    ban(PURE, Name::Path("std::env::args"), SHELL),
    ban(PURE, Name::Path("std::env::args_os"), SHELL),
    ban(PURE, Name::Path("std::env::current_dir"), SHELL),
    ban(PURE, Name::Path("std::process"), SHELL),
    ban(PURE, Name::Path("std::hash::RandomState"), RANDOM),
    ban(PURE, Name::Call("from_os_rng"), RANDOM),
    ban(PURE, Name::Call("try_from_os_rng"), RANDOM),
    ban(PURE, Name::Call("from_entropy"), RANDOM),
    ban(PURE, Name::Call("thread_rng"), RANDOM),
    ban(&["engine"], Name::Path("std::collections::HashMap"), ORDER),
    ban(&["engine"], Name::Path("std::collections::HashSet"), ORDER),
    ban(&["engine"], Name::Path("std::collections::hash_map"), ORDER),
    ban(&["engine"], Name::Path("std::collections::hash_set"), ORDER),
    ban(QUIET, Name::Path("std::process::exit"), SHELL),
    ban(QUIET, Name::Macro("print"), SPEAK),
    ban(QUIET, Name::Macro("println"), SPEAK),
    ban(QUIET, Name::Macro("eprint"), SPEAK),
    ban(QUIET, Name::Macro("eprintln"), SPEAK),
    ban(QUIET, Name::Macro("info"), SPEAK),
    ban(QUIET, Name::Macro("warn"), SPEAK),
    ban(QUIET, Name::Macro("error"), SPEAK),
    ban(QUIET, Name::Macro("debug"), SPEAK),
    ban(QUIET, Name::Macro("trace"), SPEAK),
];

/// Exceptions from [`BANS`]: file, what it names, why it may.
pub const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// The layer of a file.
pub fn layer_of(file: &str) -> &str {
    let inner = file.strip_prefix("src/").unwrap_or(file);
    let name = inner.split('/').next().unwrap_or(inner);
    name.strip_suffix(".rs").unwrap_or(name)
}

/// Checks one file of `src/`; `crates` are the external ones of Cargo.toml.
pub fn check(source: &Source, crates: &[String], exceptions: &[(&str, &str, &str)]) -> Vec<Finding> {
    let name = layer_of(&source.file);
    let Some(layer) = LAYERS.iter().find(|l| l.name == name) else {
        let remedy = "put it into a layer, or add the layer to LAYERS in tests/tidy/layers.rs";
        return vec![source.finding(1, "layer", format!("there is no layer `{name}`"), remedy)];
    };
    let facts = facts(source, crates);
    let mut found = directions(source, layer, &facts);
    found.extend(foreign(source, layer, &facts, crates));
    for ban in BANS.iter().filter(|b| b.layers.contains(&name)) {
        for (line, what) in named(&facts, ban.what) {
            let excepted = exceptions.iter().any(|(file, path, _)| *file == source.file && what == *path);
            if !source.in_test(line) && !excepted {
                found.push(source.finding(line, "ban", format!("{name} must not hold {what}"), ban.instead));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Ours that a layer names although it must not know it; its tests are held to the same.
fn directions(source: &Source, layer: &Layer, facts: &Facts) -> Vec<Finding> {
    let ours = facts.paths.iter().filter_map(|p| Some((p.line, p.name.strip_prefix("crate::")?)));
    let wrong = ours.filter(|(_, path)| {
        !below(path, layer.name) && layer.name != "lib" && !layer.knows.iter().any(|known| below(path, known))
    });
    wrong
        .map(|(line, path)| {
            let remedy = match layer.knows {
                [] => "it may know no other layer".to_owned(),
                known => format!("it may know {}", known.join(", ")),
            };
            source.finding(line, "direction", format!("{} names crate::{path}", layer.name), &remedy)
        })
        .collect()
}

/// External crates outside of their place.
fn foreign(source: &Source, layer: &Layer, facts: &Facts, crates: &[String]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for path in facts.paths.iter().filter(|p| !source.in_test(p.line)) {
        let first = path.name.split("::").next().unwrap_or_default();
        // Told once for each file.
        if !crates.iter().any(|c| c == first) || !seen.insert(first) {
            continue;
        }
        let home = HOMES.iter().find(|(name, _)| *name == first);
        let at_home = home.is_none_or(|(_, layers)| layers.contains(&layer.name));
        let listed = layer.crates.is_none_or(|list| list.contains(&first));
        if !at_home || !listed {
            let remedy = match home {
                Some((_, layers)) => format!("it is used in src/{} only", layers.join(" and src/")),
                None => "add it to the layer's crates in tests/tidy/layers.rs if it only computes".to_owned(),
            };
            let what = format!("{} names the crate {first}", layer.name);
            found.push(source.finding(path.line, "crate", what, &remedy));
        }
    }
    found
}

/// Where a file names something, and how.
fn named(facts: &Facts, what: Name) -> Vec<(usize, String)> {
    match what {
        Name::Path(root) => facts
            .paths
            .iter()
            .filter(|p| {
                // A glob hides what it brings in.
                let glob = p.name.strip_suffix("::*").is_some_and(|above| below(root, above));
                below(&p.name, root) || glob
            })
            .map(|p| (p.line, p.name.clone()))
            .collect(),
        Name::Macro(name) => {
            facts.macros.iter().filter(|m| m.name == name).map(|m| (m.line, format!("{name}!"))).collect()
        }
        Name::Call(name) => {
            let ends = facts.paths.iter().filter(|p| p.name.rsplit("::").next() == Some(name));
            let members = facts.members.iter().filter(|m| m.name == name);
            ends.chain(members).map(|s| (s.line, format!("{name}()"))).collect()
        }
        Name::Static => facts.statics.iter().map(|line| (*line, "a static".to_owned())).collect(),
    }
}

/// Exceptions that nothing needs any more.
pub fn idle_exceptions(
    sources: &[Source],
    crates: &[String],
    exceptions: &[(&str, &str, &str)],
) -> Vec<String> {
    let needed = |file: &str, path: &str| {
        let files = sources.iter().filter(|s| s.file == file);
        files.flat_map(|s| check(s, crates, &[])).any(|f| f.what.ends_with(&format!("must not hold {path}")))
    };
    let idle = exceptions.iter().filter(|(file, path, _)| !needed(file, path));
    idle.map(|(file, path, _)| format!("{file} does not hold {path}: remove the exception")).collect()
}

#[cfg(test)]
fn broken(file: &str, text: &str) -> Vec<String> {
    let crates =
        ["nom", "mio", "nix", "rand_chacha", "tokio", "chrono", "clap", "ratatui"].map(str::to_owned);
    let source = Source::parse(file, text).unwrap();
    check(&source, &crates, &[]).into_iter().map(|f| format!("{} {}: {}", f.line, f.rule, f.what)).collect()
}

#[test]
fn directions_can_be_broken() {
    assert_eq!(
        broken("src/engine/a.rs", "use crate::wire::Header;\nuse crate::config::model::Config;"),
        [""; 0]
    );
    assert_eq!(
        broken("src/engine/a.rs", "\nuse crate::config::parse;"),
        ["2 direction: engine names crate::config::parse"]
    );
    assert_eq!(broken("src/engine/a.rs", "use crate::config;"), ["1 direction: engine names crate::config"]);
    assert_eq!(
        broken("src/engine/b/mod.rs", "use super::super::daemon::run;"),
        ["1 direction: engine names crate::daemon::run"]
    );
    assert_eq!(
        broken("src/wire/a.rs", "fn f() { g!(crate::engine::X) }"),
        ["1 direction: wire names crate::engine::X"]
    );
    assert_eq!(broken("src/units/a.rs", "use crate::*;"), ["1 direction: units names crate::*"]);
    assert_eq!(
        broken("src/tools/a.rs", "use crate::engine::X;"),
        ["1 direction: tools names crate::engine::X"]
    );
    assert_eq!(broken("src/tools/a.rs", "use crate::{wire::X, config::parse, units::Y};"), [""; 0]);
    assert_eq!(broken("src/check/a.rs", "use crate::engine::server::access::AccessList;"), [""; 0]);
    assert_eq!(
        broken("src/check/a.rs", "use crate::engine::Engine;"),
        ["1 direction: check names crate::engine::Engine"]
    );
    assert_eq!(broken("src/sys/a.rs", "use crate::daemon::X;"), ["1 direction: sys names crate::daemon::X"]);
    assert_eq!(broken("src/main.rs", "use rsntpd::engine::X;"), ["1 direction: main names crate::engine::X"]);
    assert_eq!(broken("src/main.rs", "use rsntpd::daemon::run;"), [""; 0]);
    assert_eq!(broken("src/main.rs", "use rsntpd::tools;"), ["1 direction: main names crate::tools"]);
    assert_eq!(broken("src/bin/rsntpq.rs", "use rsntpd::tools;"), [""; 0]);
    assert_eq!(broken("src/bin/rsntpq.rs", "use rsntpd::daemon;"), ["1 direction: bin names crate::daemon"]);
    let test = "#[cfg(test)]\nmod tests { use crate::daemon::X; }";
    assert_eq!(broken("src/engine/a.rs", test), ["2 direction: engine names crate::daemon::X"]);
    assert_eq!(broken("src/helpers/a.rs", ""), ["1 layer: there is no layer `helpers`"]);
}

#[test]
fn crates_can_be_in_the_wrong_place() {
    assert_eq!(broken("src/config/a.rs", "use nom::Parser;"), [""; 0]);
    assert_eq!(broken("src/wire/a.rs", "use nom::Parser;"), ["1 crate: wire names the crate nom"]);
    assert_eq!(broken("src/daemon/a.rs", "use nom::Parser;"), ["1 crate: daemon names the crate nom"]);
    assert_eq!(broken("src/sys/a.rs", "fn f() { mio::Poll::new() }"), ["1 crate: sys names the crate mio"]);
    assert_eq!(broken("src/daemon/a.rs", "use ratatui::Frame;"), ["1 crate: daemon names the crate ratatui"]);
    let often = "use nom::Parser;\nfn f() { nom::x() }";
    assert_eq!(broken("src/wire/a.rs", often), ["1 crate: wire names the crate nom"]);
    assert_eq!(broken("src/engine/a.rs", "use tokio as t;"), ["1 crate: engine names the crate tokio"]);
    assert_eq!(broken("src/engine/a.rs", "use rand_chacha::ChaCha12Rng;"), [""; 0]);
    assert_eq!(
        broken("src/units/a.rs", "fn f() { chrono::Utc::now() }"),
        ["1 crate: units names the crate chrono"]
    );
    assert_eq!(broken("src/engine/a.rs", "#[cfg(test)]\nmod tests { use tokio::x; }"), [""; 0]);
}

#[test]
fn every_ban_can_be_broken() {
    for ban in BANS {
        for layer in ban.layers {
            let text = match ban.what {
                Name::Path(path) => format!("fn f() {{ {path}; }}"),
                Name::Macro(name) => format!("fn f() {{ {name}!(); }}"),
                Name::Call(name) => format!("fn f() {{ x.{name}(); }}"),
                Name::Static => "static A: u8 = 0;".to_owned(),
            };
            let found = broken(&format!("src/{layer}/a.rs"), &text);
            assert!(found.iter().any(|f| f.starts_with("1 ban: ")), "{text} in {layer}: {found:?}");
            let test = broken(&format!("src/{layer}/a.rs"), &format!("#[cfg(test)]\nmod tests {{ {text} }}"));
            assert_eq!(test, [""; 0], "{text} in a test of {layer}");
            let shell = broken("src/daemon/a.rs", &text);
            assert_eq!(shell, [""; 0], "{text} in the shell");
        }
    }
}

#[test]
fn bans_are_not_evaded_by_aliases_and_globs() {
    let hidden = [
        "use std::time as t; fn f() { t::Instant::now() }",
        "use std::time::*;",
        "use std::*;",
        "use std::{time::{Duration, Instant as I}};",
        "use core::time::{self as t}; fn f() { m!(t::Instant) }",
    ];
    for text in hidden {
        assert!(!broken("src/engine/a.rs", text).is_empty(), "{text}");
    }
    assert_eq!(broken("src/engine/a.rs", "use std::time::Duration; use std::net::IpAddr;"), [""; 0]);
}

#[test]
fn exceptions_hold_for_one_file_and_must_be_needed() {
    let text = "use std::collections::HashMap;";
    let sources = ["src/engine/a.rs", "src/engine/b.rs"].map(|f| Source::parse(f, text).unwrap());
    let exceptions = [("src/engine/a.rs", "std::collections::HashMap", "never iterated")];
    assert_eq!(sources.each_ref().map(|s| check(s, &[], &exceptions).len()), [0, 1]);
    assert_eq!(idle_exceptions(&sources, &[], &exceptions), [""; 0]);
    let idle = [("src/engine/a.rs", "std::collections::HashSet", "")];
    assert_eq!(idle_exceptions(&sources, &[], &idle).len(), 1);
}
