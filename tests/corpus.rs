//! Real ntp.conf files, and what ntpd 4.2.6p5 made of them, where the reference folder
//! `../shared` is there; without it these tests report themselves ignored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

#[path = "corpus/older.rs"]
mod older;

use libtest_mimic::{Arguments, Failed, Trial};
use older::older;
use rsntpd::config::model::{Family, Restrict, RestrictTarget, Target};
use rsntpd::config::{Diagnostic, Parsed, Severity, parse, print};
use rsntpd::core::access::AccessList;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

fn main() {
    let arguments = Arguments::from_args();
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let missing = !shared.join("corpus").is_dir();
    let trial = |name: &str, test: fn(&Path) -> Result<(), Failed>| {
        let shared = shared.clone();
        Trial::test(name, move || test(&shared)).with_ignored_flag(missing)
    };
    if missing {
        eprintln!("skipped: {} is not there", shared.display());
    }
    let trials = vec![
        trial("seed_file_yields_what_the_walk_needs", seed),
        trial("what_is_said_about_the_seed_file", seed_diagnostics),
        trial("every_file_is_read_and_mistakes_are_told", every_file),
        trial("all_but_the_listed_agree_with_4_2_6p5", agreement),
        trial("each_rule_of_the_comparison_is_told", rules_are_entries),
        trial("every_dump_is_understood", dumps_are_understood),
        trial("what_is_printed_is_read_as_the_same", printed_is_the_same),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn read(file: &Path, text: &[u8]) -> Parsed {
    parse(file, text, &mut |_| Err("No such file or directory".to_owned()))
}

fn conf_files(shared: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(shared.join("corpus"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "conf"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn seed(shared: &Path) -> Result<(), Failed> {
    let file = shared.join("seed/ntp.conf");
    let parsed = read(&file, &fs::read(&file).unwrap());
    let config = &parsed.config;
    let targets: Vec<String> = config.servers.iter().map(|s| format!("{:?}", s.target)).collect();
    let address = |text: &str| format!("{:?}", Target::Address(text.parse().unwrap()));
    let expected = [
        address("210.72.145.44"),
        address("202.112.10.36"),
        address("59.124.196.83"),
        format!("{:?}", Target::LocalClock { unit: 0 }),
    ];
    assert_eq!(targets, expected);
    assert!(config.servers.iter().all(|s| !s.prefer));
    assert_eq!(config.servers[3].fudge.stratum.unwrap().get(), 10);
    let typo = parsed.diagnostics.iter().find(|d| d.suggestion.as_deref() == Some("prefer")).unwrap();
    assert_eq!((typo.line, typo.column), (22, 22));
    assert!(typo.log_line().contains("did you mean prefer?"));

    let access = AccessList::build(&config.restrict);
    let words = |from: &str| -> Vec<&str> { access.lookup(from.parse().unwrap()).words().collect() };
    let default = ["ignore", "kod", "nomodify", "nopeer", "noquery", "notrap"];
    assert_eq!(words("192.0.2.1:4000"), default);
    assert_eq!(words("[2001:db8::1]:4000"), default);
    assert_eq!(words("10.199.255.7:4000"), ["nomodify", "notrap"]);
    assert_eq!(words("127.0.0.1:4000"), [""; 0]);
    assert_eq!(words("210.72.145.44:123"), ["nomodify", "noquery", "notrap"]);
    assert_eq!(config.auth.keys.as_deref(), Some(Path::new("/etc/ntp/keys")));
    assert_eq!(config.driftfile.as_deref(), Some(Path::new("/var/lib/ntp/drift")));
    assert!(parsed.diagnostics.iter().any(|d| d.log_line().contains("/etc/ntp/crypto/pw")));
    Ok(())
}

/// What is said about the seed file, to be read by people; `UPDATE=1` writes it.
fn seed_diagnostics(shared: &Path) -> Result<(), Failed> {
    let parsed = read(Path::new("ntp.conf"), &fs::read(shared.join("seed/ntp.conf")).unwrap());
    let findings = parsed.diagnostics.iter().chain(&parsed.lints);
    let shown: Vec<String> = findings.map(|d| d.render(false).trim_end().to_owned()).collect();
    let made = shown.join("\n\n") + "\n";
    let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/seed.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&snapshot, &made).unwrap();
    }
    if fs::read_to_string(&snapshot).unwrap_or_default() == made {
        return Ok(());
    }
    Err(format!("not as in tests/corpus/seed.txt (UPDATE=1 writes it):\n{made}").into())
}

/// No file panics; a file that 4.2.6p5 complained about gets a diagnostic from us as well.
fn every_file(shared: &Path) -> Result<(), Failed> {
    for file in conf_files(shared) {
        let parsed = read(&file, &fs::read(&file).unwrap());
        for d in &parsed.diagnostics {
            assert!(!d.render(false).is_empty() && d.line > 0 && d.column > 0);
        }
        let log = shared.join("corpus/expected").join(stem(&file) + ".4.2.6p5.log");
        let log = fs::read(log).unwrap_or_default();
        let complained =
            String::from_utf8_lossy(&log).lines().filter(|l| l.contains("syntax error in")).count();
        // What 4.2.8 understands is no mistake to us: only noisy files must be noisy.
        if complained > 3 {
            let told = parsed.diagnostics.iter().filter(|d| d.severity != Severity::Note).count();
            assert!(told > 0, "{}: nothing said, 4.2.6p5 found {complained}", file.display());
        }
    }
    Ok(())
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

/// What a text means, as sorted lines of ntp.conf. Its order does not count, and the dumps of 4.2.6p5
/// do not show that the flags of repeated restrict lines add up.
fn meaning(file: &Path, text: &[u8]) -> Vec<String> {
    let mut config = read(file, text).config;
    let mut restrict: Vec<Restrict> = Vec::new();
    for entry in config.restrict.iter().flat_map(entries) {
        match restrict.iter_mut().find(|e| (&e.target, e.ntpport) == (&entry.target, entry.ntpport)) {
            Some(same) => same.flags = same.flags.union(entry.flags),
            None => restrict.push(entry),
        }
    }
    config.restrict = restrict;
    let text = String::from_utf8_lossy(&print(&config)).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The line as entries of one family each, as the dumps show them: `default` is 0/0, and of a name they
/// leave out -4 and -6.
fn entries(line: &Restrict) -> Vec<Restrict> {
    let with = |target| Restrict { target, ..line.clone() };
    let default = |any: IpAddr| with(RestrictTarget::Net { address: any, mask: any });
    let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    match &line.target {
        RestrictTarget::Default(Family::Any) => vec![default(v4), default(v6)],
        RestrictTarget::Default(Family::V4) => vec![default(v4)],
        RestrictTarget::Default(Family::V6) => vec![default(v6)],
        RestrictTarget::Name(name, _) => vec![with(RestrictTarget::Name(name.clone(), Family::Any))],
        RestrictTarget::Net { .. }
        | RestrictTarget::Adds { .. }
        | RestrictTarget::Around { .. }
        | RestrictTarget::Source => vec![line.clone()],
    }
}

/// What only one of both has.
fn disagreement(ours: &[String], theirs: &[String]) -> Option<String> {
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>().join("; ")
    };
    (ours != theirs)
        .then(|| format!("only ours: [{}] only ntpd's: [{}]", only(ours, theirs), only(theirs, ours)))
}

/// A text and what ntpd says it understood.
struct Case {
    name: String,
    file: PathBuf,
    text: Vec<u8>,
    dump: Vec<u8>,
    /// 4.2.6p5 crashed, or lost its own dump: the dump is that of 4.3.91.
    by_4_2_8: bool,
}

fn file_cases(shared: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for file in conf_files(shared) {
        let dump = |version: &str| {
            fs::read(shared.join("corpus/expected").join(format!("{}.{version}.saved", stem(&file))))
        };
        let (old, new) = (dump("4.2.6p5"), dump("4.3.91"));
        let by_4_2_8 = old.is_err();
        if let Ok(dump) = old.or(new) {
            let text = fs::read(&file).unwrap();
            cases.push(Case { name: stem(&file), file: file.clone(), text, dump, by_4_2_8 });
        }
    }
    cases
}

/// The case's text: `\n` and `\xNN` stand for what they say.
fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (octet, used) = match (first, tail.first()) {
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b'x')) if tail.len() > 2 => {
                (u8::from_str_radix(std::str::from_utf8(&tail[1..3]).unwrap(), 16).unwrap(), 4)
            }
            _ => (first, 1),
        };
        out.push(octet);
        rest = &rest[used..];
    }
    out
}

/// The answers to the micro-tests: the case, and the dump, if there is a whole one.
fn answers(shared: &Path, version: &str) -> Vec<(String, Option<String>)> {
    let text = fs::read(shared.join(format!("corpus/microtests.{version}.txt"))).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    let block = |block: &str| {
        let mut lines = block.lines();
        let case = lines.next().unwrap_or_default().trim_start_matches("== ").to_owned();
        let kept: Vec<&str> =
            lines.filter(|l| !l.starts_with("LOG ") && !l.starts_with("getconfig")).collect();
        let lost = |l: &&str| l.starts_with("rc=") || l.contains("dump error") || l.starts_with("grep: ");
        (case, (!kept.iter().any(lost)).then(|| kept.join("\n")))
    };
    text.split("\n== ").map(block).collect()
}

fn micro_cases(shared: &Path) -> Vec<Case> {
    let new = answers(shared, "4.3.91");
    let mut cases = Vec::new();
    for (index, (name, dump)) in answers(shared, "4.2.6p5").into_iter().enumerate() {
        let by_4_2_8 = dump.is_none();
        // Both have the same cases in the same order.
        assert_eq!(new[index].0, name);
        let Some(dump) = dump.or_else(|| new[index].1.clone()) else { continue };
        let (file, text) = (PathBuf::from("e.conf"), unescape(&name));
        cases.push(Case { name, file, text, dump: dump.into_bytes(), by_4_2_8 });
    }
    cases
}

/// The cases that docs/differences.md names, behind `Cases:`, in backticks, and the title of their entry.
fn listed() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    let page = fs::read_to_string(page).unwrap();
    let mut names = BTreeMap::new();
    let entries = page.split("\n* ").skip(1).filter_map(|entry| entry.strip_prefix("**"));
    for entry in entries {
        let entry = entry.split("\n\n").next().unwrap_or_default();
        let (title, text) = entry.split_once("**").unwrap_or((entry, ""));
        let cases = text.split_once("Cases:").map_or("", |(_, cases)| cases);
        names.extend(
            cases
                .split('`')
                .skip(1)
                .step_by(2)
                .map(|case| (case.to_owned(), title.trim_end_matches('.').to_owned())),
        );
    }
    names
}

/// How a case that differs is accounted for.
enum Account {
    /// By rules, which are entries of docs/differences.md.
    Rules(String),
    /// By name only.
    Named(String),
    /// Not at all.
    Nowhere,
}

fn account(case: &Case, listed: &BTreeMap<String, String>) -> Account {
    let (text, rules) = older(&case.text);
    let explained = disagreement(&meaning(&case.file, &text), &meaning(&case.file, &case.dump)).is_none();
    let named = listed.get(&case.name);
    match named {
        _ if explained => Account::Rules(rules.into_iter().collect::<Vec<_>>().join(", ")),
        Some(title) => Account::Named(title.clone()),
        None => Account::Nowhere,
    }
}

/// Every case agrees with ntpd, or an entry of docs/differences.md accounts for it, and names it if it
/// is one of those that were there when the page was written; no case is named that agrees.
fn agreement(shared: &Path) -> Result<(), Failed> {
    let listed = listed();
    let (mut differ, mut unaccounted) = (BTreeSet::new(), Vec::new());
    let mut totals = Vec::new();
    let (mut crashed, mut like_4_2_8) = (0, 0);
    for (kind, cases) in [("files", file_cases(shared)), ("micro-tests", micro_cases(shared))] {
        let (mut agree, mut all) = (0, 0);
        for case in &cases {
            let found = disagreement(&meaning(&case.file, &case.text), &meaning(&case.file, &case.dump));
            if case.by_4_2_8 {
                crashed += 1;
                like_4_2_8 += usize::from(found.is_none());
            } else {
                all += 1;
                agree += usize::from(found.is_none());
            }
            let Some(found) = found else { continue };
            let why = match account(case, &listed) {
                Account::Rules(rules) if listed.contains_key(&case.name) => {
                    format!("as docs/differences.md says: {rules}")
                }
                Account::Rules(rules) => format!("as docs/differences.md says, without its name: {rules}"),
                Account::Named(title) => format!("as docs/differences.md says: {title}"),
                Account::Nowhere => {
                    unaccounted.push(case.name.clone());
                    "NOT in docs/differences.md".to_owned()
                }
            };
            println!("{}: {why}: {}", case.name, found.chars().take(500).collect::<String>());
            differ.insert(case.name.clone());
        }
        totals.push(format!("{agree} of {all} {kind}"));
    }
    println!("{} agree with 4.2.6p5", totals.join(", "));
    println!("{like_4_2_8} of {crashed} that crash it agree with 4.3.91");
    let stale: Vec<&String> = listed.keys().filter(|name| !differ.contains(*name)).collect();
    if unaccounted.is_empty() && stale.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not in docs/differences.md: {unaccounted:?}; there, but not (or no longer) different: {stale:?}"
    )
    .into())
}

/// The rules by which differences are accounted for are entries of docs/differences.md.
fn rules_are_entries(_: &Path) -> Result<(), Failed> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    let page = fs::read_to_string(page).unwrap();
    let rules = [
        older::FLAGS,
        older::MASK,
        older::COMMANDS,
        older::WORDS,
        older::NUMBERS,
        older::MARK,
        older::UNSHOWN,
    ];
    let missing: Vec<_> = rules.iter().filter(|rule| !page.contains(&format!("\n* **{rule}.**"))).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("no entry in docs/differences.md: {missing:?}").into())
    }
}

/// What ntpd says it understood, we understand: nothing in a dump is an error. So a comparison with a
/// dump cannot succeed because a line of it was lost.
fn dumps_are_understood(shared: &Path) -> Result<(), Failed> {
    // The dumps do not quote strings: what has blanks in it cannot be read back, and a name may be odd.
    // And they show what 4.2.6 refuses only afterwards, as we do at once.
    let faults = [
        "refid a b ",
        "automax 5",
        "[::1]:123",
        "2001:pppp:",
        "ttl 9",
        "key ",
        "version ",
        "fudge 192.168.10.1",
        "stratum -3",
        "+bogus",
    ];
    let mut bad = Vec::new();
    for case in file_cases(shared).into_iter().chain(micro_cases(shared)) {
        for found in read(&case.file, &case.dump).diagnostics {
            let line = String::from_utf8_lossy(&found.source).into_owned();
            if found.severity == Severity::Error && !faults.iter().any(|fault| line.contains(fault)) {
                bad.push(format!("{}: {line}: {}", case.name, found.log_line()));
            }
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(bad.join("\n").into()) }
}

/// Printing what was read, and reading that again, changes nothing.
fn printed_is_the_same(shared: &Path) -> Result<(), Failed> {
    for case in file_cases(shared).into_iter().chain(micro_cases(shared)) {
        let first = print(&read(&case.file, &case.text).config);
        let again = read(&case.file, &first);
        let text = String::from_utf8_lossy(&first).into_owned();
        assert_eq!(String::from_utf8_lossy(&print(&again.config)), text, "{}", case.name);
        let errors: Vec<String> = again
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(Diagnostic::log_line)
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", case.name);
    }
    Ok(())
}
