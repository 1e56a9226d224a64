//! The repository around the source: its top level, its scripts, its dependencies' use.

use super::paths::facts;
use super::source::{Finding, Source};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What may lie at the top level, beside dot-files and the build's `target`.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "conf",
    "rpm",
    "init.d",
    "tests",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE*",
    "docs",
    "benches",
    "fuzz",
    "clippy.toml",
    "rustfmt.toml",
    "target",
];
/// Lines in which a script says what reads it.
const SCRIPT_HEAD: usize = 15;

/// Checks the names at the top level.
pub fn top_level(names: &[String]) -> Vec<Finding> {
    let allowed = |name: &str| {
        name.starts_with('.')
            || TOP.iter().any(|t| t.strip_suffix('*').map_or(*t == name, |start| name.starts_with(start)))
    };
    let strays = names.iter().filter(|name| !allowed(name));
    strays
        .map(|name| Finding {
            file: name.clone(),
            line: 1,
            rule: "top level",
            what: "it does not belong there".to_owned(),
            remedy: "put it into src, tests, docs, conf, rpm or init.d, or remove it".to_owned(),
        })
        .collect()
}

/// The shell that a text is for, if it is a script: by its name, its first line or its directive.
fn shell_of(file: &str, text: &str) -> Option<&'static str> {
    let first = text.lines().next().unwrap_or_default();
    if let Some(program) = first.strip_prefix("#!") {
        let mut words = program.trim().trim_start_matches("/usr/bin/env ").split(' ');
        return match words.next().unwrap_or_default().rsplit('/').next() {
            Some("bash") => Some("bash"),
            Some("sh" | "dash") => Some("sh"),
            _ => None,
        };
    }
    // A file to be sourced has no first line of its own.
    let head = text.lines().take(SCRIPT_HEAD).take_while(|l| l.starts_with('#') || l.is_empty());
    let mut directive = head.filter_map(|l| l.strip_prefix("# shellcheck shell="));
    match directive.next() {
        Some("bash") => Some("bash"),
        Some("sh" | "dash") => Some("sh"),
        _ if file.ends_with(".sh") => Some(""),
        _ => None,
    }
}

/// Checks a text that may be a shell script; `executable` is its permission.
pub fn script(file: &str, text: &str, executable: bool) -> Vec<Finding> {
    let finding = |line: usize, what: &str, remedy: &str| Finding {
        file: file.to_owned(),
        line,
        rule: "script",
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    };
    if executable && !text.starts_with("#!") && !text.contains("\n# shellcheck shell=") {
        return vec![finding(1, "it is executable and names no interpreter", "begin with #!/bin/bash")];
    }
    match shell_of(file, text) {
        None => Vec::new(),
        Some("") => {
            let remedy = "begin with #!/bin/bash, or with `# shellcheck shell=bash` if it is sourced";
            vec![finding(1, "it does not say what reads it", remedy)]
        }
        Some(shell) => match parses(shell, text) {
            Ok(()) => Vec::new(),
            Err(why) => {
                // `bash: line 4: …` and `sh: 4: …`.
                let number = why.split([':', ' ']).find_map(|word| word.parse().ok());
                vec![finding(number.unwrap_or(1), why.trim(), "mend its syntax")]
            }
        },
    }
}

/// Whether the shell can parse it; nothing of it is run.
fn parses(shell: &str, text: &str) -> Result<(), String> {
    let mut command = Command::new(shell);
    command.args(["-n", "-s"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("cannot run {shell}: {e}"))?;
    // A shell that gives up early closes its end.
    let _told_by_its_status = child.stdin.take().map(|mut pipe| pipe.write_all(text.as_bytes()));
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A dependency of Cargo.toml, by the name that the source uses.
pub struct Dependency {
    pub name: String,
    pub for_tests: bool,
}

/// Dependencies that no file names, or that only tests name although all builds get them.
pub fn unused(dependencies: &[Dependency], sources: &[Source]) -> Vec<Finding> {
    let crates: Vec<String> = dependencies.iter().map(|d| d.name.clone()).collect();
    let mut shipped = Vec::new();
    let mut tested = Vec::new();
    for source in sources {
        for path in facts(source, &crates).paths {
            let name = path.name.split("::").next().unwrap_or_default().to_owned();
            if source.in_test(path.line) { tested.push(name) } else { shipped.push(name) }
        }
    }
    let mut found = Vec::new();
    for dependency in dependencies {
        let in_source = shipped.contains(&dependency.name);
        let in_tests = tested.contains(&dependency.name);
        let (what, remedy) = match (dependency.for_tests, in_source, in_tests) {
            (false, true, _) | (true, false, true) => continue,
            (false, false, true) => ("only tests use", "move it to [dev-dependencies]"),
            (true, true, _) => ("all builds use", "move it to [dependencies]"),
            (_, false, false) => ("nothing uses", "remove it from Cargo.toml"),
        };
        found.push(Finding {
            file: "Cargo.toml".to_owned(),
            line: 1,
            rule: "dependencies",
            what: format!("{what} the crate {}", dependency.name),
            remedy: remedy.to_owned(),
        });
    }
    found
}

/// The names at the top of the repository.
pub fn names_in(top: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(top).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn strays_at_the_top_are_told() {
    let of = |names: &[&str]| top_level(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).len();
    assert_eq!(of(&["src", "LICENSE-MIT", ".ci", "target", "Makefile"]), 0);
    assert_eq!(of(&["src", "notes.txt", "srcs", "core.1234"]), 3);
}

#[test]
fn scripts_must_name_their_shell_and_parse() {
    let what = |file: &str, text: &str, executable| {
        script(file, text, executable).into_iter().map(|f| (f.line, f.what)).collect::<Vec<_>>()
    };
    assert_eq!(what("a.sh", "#!/bin/bash\nif true; then :; fi\n", true), []);
    assert_eq!(what("a.sh", "# Sourced.\n# shellcheck shell=bash\nf() { :; }\n", true), []);
    assert_eq!(what("a.sh", "f() { :; }\n", false).len(), 1);
    assert_eq!(what("run", "echo\n", true).len(), 1);
    assert_eq!(what("notes", "if then\n", false), []);
    assert_eq!(what("a.py", "#!/usr/bin/env python3\nif x:\n  pass\n", true), []);
    for head in ["#!/bin/bash", "#!/bin/sh", "#!/usr/bin/env bash"] {
        let found = what("run", &format!("{head}\necho\nif true; then\ndone\n"), true);
        assert_eq!((found.len(), found[0].0), (1, 4), "{found:?}");
    }
}

#[test]
fn crates_without_a_use_are_told() {
    let dependencies =
        [("used", false), ("idle", false), ("test_only", false), ("tool", true), ("swapped", true)];
    let dependencies = dependencies.map(|(name, for_tests)| Dependency { name: name.to_owned(), for_tests });
    let sources = [
        (
            "src/daemon/a.rs",
            "use used::X; fn f() { swapped::g(\"idle::x\") } // idle::y\n#[cfg(test)]\nmod tests { use test_only::Y; }",
        ),
        ("tests/a.rs", "use tool::Z;"),
    ];
    let sources = sources.map(|(file, text)| Source::parse(file, text).unwrap());
    let found: Vec<String> = unused(&dependencies, &sources).into_iter().map(|f| f.what).collect();
    let expected = [
        "nothing uses the crate idle",
        "only tests use the crate test_only",
        "all builds use the crate swapped",
    ];
    assert_eq!(found, expected);
}
