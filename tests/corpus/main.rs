//! Real ntp.conf files, and what ntpd 4.2.6p5 made of them, where the reference folder
//! `../shared` is there; without it these tests report themselves ignored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod clocks;
mod dump;
mod facts;
mod older;
mod recorded;
#[path = "../config/strict.rs"]
#[allow(dead_code)] // only tests/config/nothing_opens.rs asks what a client may not do
mod strict;

use dump::Facts;
use facts::facts;
use libtest_mimic::{Arguments, Failed, Trial};
use older::older;
use recorded::{Case, conf_files, file_cases, included, micro_cases, second_cases, stem};
use rsntpd::config::model::Target;
use rsntpd::config::{Diagnostic, Parsed, Severity, Style, parse, print};
use rsntpd::engine::server::access::AccessList;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

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
        trial("every_word_of_a_reference_clock_is_honoured_or_reported", every_clock),
        trial("all_but_the_listed_agree_with_4_2_6p5", agreement),
        trial("each_rule_of_the_comparison_is_told", rules_are_entries),
        trial("every_dump_is_understood", dumps_are_understood),
        trial("b17_the_reader_of_dumps_is_strict", the_reader_is_strict),
        trial("the_strict_model_reads_restrict_lines_as_4_2_6p5", strict_model),
        trial("what_is_printed_is_read_as_the_same", printed_is_the_same),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn read(file: &Path, text: &[u8]) -> Parsed {
    parse(file, text, &mut |_| Err("No such file or directory".into()))
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
    let words = |from: &str| -> Vec<&str> { access.lookup(from.parse().unwrap()).names().collect() };
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
    let shown: Vec<String> = findings.map(|d| d.render(Style::Plain).trim_end().to_owned()).collect();
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
            assert!(!d.render(Style::Plain).is_empty() && d.line > 0 && d.column > 0);
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

/// No word of the lines of reference clocks is lost.
fn every_clock(shared: &Path) -> Result<(), Failed> {
    let (mut files, mut lines, mut words, mut lost) = (0, 0, 0, Vec::new());
    for case in file_cases(shared) {
        let parsed = read(&case.file, &case.text);
        let count = clocks::look(&String::from_utf8_lossy(&case.text), &parsed);
        files += usize::from(count.lines > 0);
        lines += count.lines;
        words += count.words;
        lost.extend(count.lost.into_iter().map(|lost| format!("{}: {lost}", case.name)));
    }
    println!("{files} files with reference clocks, {lines} lines of them, {words} words");
    assert!(files > 20 && words > 100, "the collection has clocks");
    if lost.is_empty() { Ok(()) } else { Err(lost.join("\n").into()) }
}

/// What a text means to us, as facts.
fn meaning(shared: &Path, case: &Case, text: &[u8]) -> Facts {
    facts(&parse(&case.file, text, &mut |path| included(shared, path)).config)
}

/// What it means to ntpd: its dump, read by a reader of its own.
fn theirs(case: &Case, held: bool) -> Facts {
    let text = String::from_utf8_lossy(&case.dump);
    dump::read(&text, held).unwrap_or_else(|why| panic!("{}: {why}", case.name))
}

/// What only one of both has.
fn disagreement(ours: &[String], theirs: &[String]) -> Option<String> {
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>().join("; ")
    };
    (ours != theirs)
        .then(|| format!("only ours: [{}] only ntpd's: [{}]", only(ours, theirs), only(theirs, ours)))
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

/// The case as the rules make it for ntpd, and which of them that took; nothing if it still differs.
fn by_rules(shared: &Path, case: &Case) -> Option<BTreeSet<&'static str>> {
    let (text, mut rules) = older(&case.text);
    let ours = meaning(shared, case, &text);
    if ours == theirs(case, false) {
        return Some(rules);
    }
    let held = theirs(case, true);
    if ours == held {
        rules.insert(older::RANGES);
        return Some(rules);
    }
    if meaning(shared, case, &older::unquoted(&text)) == held {
        rules.insert(older::QUOTES);
        return Some(rules);
    }
    // ntpd may stop reading at a line with a NUL, with that line or without.
    let nul = text.iter().position(|b| *b == 0)?;
    rules.insert(older::NUL);
    let starts = text.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at);
    let first = text[..nul].iter().rposition(|b| *b == b'\n').unwrap_or(0);
    [first]
        .into_iter()
        .chain(starts.filter(|at| *at > nul))
        .find(|at| meaning(shared, case, &text[..*at]) == held)?;
    Some(rules)
}

fn account(shared: &Path, case: &Case, listed: &BTreeMap<String, String>) -> Account {
    match (by_rules(shared, case), listed.get(&case.name)) {
        (Some(rules), _) => Account::Rules(rules.into_iter().collect::<Vec<_>>().join(", ")),
        (None, Some(title)) => Account::Named(title.clone()),
        (None, None) => Account::Nowhere,
    }
}

/// Every case agrees with ntpd, or an entry of docs/differences.md accounts for it, and names it if it
/// is one of those that were there when the page was written; no case is named that agrees.
fn agreement(shared: &Path) -> Result<(), Failed> {
    let listed = listed();
    let (mut differ, mut unaccounted) = (BTreeSet::new(), Vec::new());
    let mut totals = Vec::new();
    let (mut crashed, mut like_4_2_8) = (0, 0);
    for (kind, cases) in [
        ("files", file_cases(shared)),
        ("micro-tests", micro_cases(shared)),
        ("micro-tests of the second set", second_cases(shared)),
    ] {
        let (mut agree, mut all, mut stated) = (0, 0, 0);
        for case in &cases {
            let found = disagreement(&meaning(shared, case, &case.text), &theirs(case, false));
            if case.by_4_2_8 {
                crashed += 1;
                like_4_2_8 += usize::from(found.is_none());
            } else {
                all += 1;
                agree += usize::from(found.is_none());
            }
            let Some(found) = found else { continue };
            let why = match account(shared, case, &listed) {
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
            stated += usize::from(!case.by_4_2_8 && !why.starts_with("NOT"));
            println!("{}: {why}: {}", case.name, found.chars().take(500).collect::<String>());
            differ.insert(case.name.clone());
        }
        totals.push(format!(
            "{agree} of {all} {kind} agree with 4.2.6p5, {stated} differ as docs/differences.md says"
        ));
    }
    totals.iter().for_each(|total| println!("{total}"));
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
        older::PREFIX,
        older::RANGES,
        older::LARGE,
        older::SIMULATION,
        older::TTL,
        older::INCLUDED,
        older::NUL,
        older::LONG,
        older::QUOTES,
    ];
    let missing: Vec<_> = rules.iter().filter(|rule| !page.contains(&format!("\n* **{rule}.**"))).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("no entry in docs/differences.md: {missing:?}").into())
    }
}

fn all_cases(shared: &Path) -> impl Iterator<Item = Case> {
    file_cases(shared).into_iter().chain(micro_cases(shared)).chain(second_cases(shared))
}

/// Every dump has the form that ntpd gives it: nothing in it is passed over. So a comparison cannot succeed
/// because a line of it was lost.
fn dumps_are_understood(shared: &Path) -> Result<(), Failed> {
    let wrong = |case: Case| {
        let dump = String::from_utf8_lossy(&case.dump).into_owned();
        dump::read(&dump, false).err().map(|why| format!("{}: {why}", case.name))
    };
    let bad: Vec<String> = all_cases(shared).filter_map(wrong).collect();
    if bad.is_empty() { Ok(()) } else { Err(bad.join("\n").into()) }
}

/// The reader is strict: what is no line of a dump, or has a word too many, is not read.
fn the_reader_is_strict(_: &Path) -> Result<(), Failed> {
    for line in [
        "bogus",
        "server",
        "driftfile /d",
        "filegen loopstats bogus",
        "tos minclock",
        "tinker bogus 1",
        "enable bogus",
        "fudge 127.127.1.0",
        "trustedkey x",
        "restrict",
        "mru maxdepth 1",
    ] {
        if dump::read(line, false).is_ok() {
            return Err(format!("{line} was read").into());
        }
    }
    Ok(())
}

/// The model that tests/config/nothing_opens.rs trusts reads restrict lines as 4.2.6p5 did in every recorded case.
fn strict_model(shared: &Path) -> Result<(), Failed> {
    let mut compared = 0;
    for case in all_cases(shared).filter(|case| !case.by_4_2_8) {
        let text = String::from_utf8_lossy(&case.text);
        // These stop ntpd's reading, or bring in other files.
        if ["\0", "simulate", "includefile", "\nend"].iter().any(|stop| text.contains(stop)) {
            continue;
        }
        let show = |line: &strict::Line| {
            let (host, mask) = match &line.target {
                strict::Target::Default(None) => ("default", None),
                strict::Target::Default(Some(4)) => ("0.0.0.0", Some("0.0.0.0")),
                strict::Target::Default(Some(_)) => ("::", Some("::")),
                strict::Target::Host(host, _) => (host.as_str(), line.mask.as_deref()),
            };
            format!("{host} {mask:?} {:?}", line.flags)
        };
        let dump = String::from_utf8_lossy(&case.dump).into_owned();
        let theirs: Vec<String> = dump
            .lines()
            .filter_map(|line| line.strip_prefix("restrict "))
            .map(|rest| show(&dump::restrict_line(rest).unwrap()))
            .collect();
        let model: Vec<String> = strict::lines(&case.text).iter().map(show).collect();
        if theirs != model {
            return Err(format!("{}: ntpd {theirs:?}, the model {model:?}", case.name).into());
        }
        compared += theirs.len();
    }
    println!("{compared} restrict lines are read by the model as by 4.2.6p5");
    if compared > 400 { Ok(()) } else { Err(format!("only {compared} lines").into()) }
}

/// Printing what was read, and reading that again, changes nothing.
fn printed_is_the_same(shared: &Path) -> Result<(), Failed> {
    for case in all_cases(shared) {
        let first = print(&read(&case.file, &case.text).config);
        let again = read(&case.file, &first);
        let text = String::from_utf8_lossy(&first).into_owned();
        assert_eq!(String::from_utf8_lossy(&print(&again.config)), text, "{}", case.name);
        let errors: Vec<String> = again
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            // Names that no resolver finds are kept all the same, as ntpd keeps them.
            .filter(|d| !d.message.contains(" cannot be "))
            .map(Diagnostic::log_line)
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", case.name);
    }
    Ok(())
}
