//! The manual pages say what `--help` says: the same options with the same values, for the daemon and
//! the companions and each form of rsntpq; the page of the configuration is made from the table of the
//! language (`UPDATE=1` writes it); and the pages are good mdoc (where mandoc is installed; without it
//! that test reports itself ignored).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

mod page;

use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Options by long name: the short name, where there is one, and the names of the values.
type Options = BTreeMap<String, (Option<String>, Vec<String>)>;

fn main() {
    let no_mandoc = Command::new("mandoc").arg("/dev/null").output().is_err();
    let trials = vec![
        Trial::test("every_option_of_help_is_in_the_page_and_vice_versa", options_agree),
        Trial::test("the_synopsis_names_every_option", synopsis_is_complete),
        Trial::test("the_page_of_the_configuration_is_that_of_the_table", configuration_is_current),
        Trial::test("mandoc_finds_nothing_to_say", mandoc_is_content).with_ignored_flag(no_mandoc),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man")
}

/// A page, or the section of one whose heading ends so, and the words that make rsntpq explain it (the daemon's has none).
type Part = (&'static str, &'static str, &'static [&'static str]);
const PARTS: &[Part] = &[
    ("rsntpd", "", &[]),
    ("rsntpq", "OPTIONS", &["--tool", "rsntpq"]),
    ("rsntpq", "rsntpq check", &["--tool", "rsntpq", "check"]),
    ("rsntpq", "rsntpq metrics", &["--tool", "rsntpq", "metrics"]),
    ("rsntpq", "rsntpq report", &["--tool", "rsntpq", "report"]),
    ("rsntpq", "rsntpq watch", &["--tool", "rsntpq", "watch"]),
    ("rsntpstat", "OPTIONS", &["--tool", "rsntpstat"]),
    ("rsntpdate", "OPTIONS", &["--tool", "rsntpdate"]),
    ("rsntp-wait", "OPTIONS", &["--tool", "rsntp-wait"]),
    ("rsntp-keygen", "OPTIONS", &["--tool", "rsntp-keygen"]),
    ("rsntptime", "OPTIONS", &["--tool", "rsntptime"]),
    ("rsntptrace", "OPTIONS", &["--tool", "rsntptrace"]),
];

fn text(page: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{page}.8"))).unwrap()
}

fn configuration_page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man/rsntp.conf.5")
}

fn configuration_is_current() -> Result<(), Failed> {
    let made = page::page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(configuration_page(), &made).unwrap();
    }
    let there = std::fs::read_to_string(configuration_page()).unwrap_or_default();
    if there == made {
        return Ok(());
    }
    Err("docs/man/rsntp.conf.5 is not what the table says: UPDATE=1 cargo test --test manual writes it"
        .into())
}

/// The names of values are the words in capitals, whatever brackets or macros stand around them.
fn values(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase()))
        .map(str::to_owned)
        .collect()
}

/// The options of `--help`: lines of two spaces, `-s, ` or four spaces, `--long VALUES`, and,
/// after two more spaces, the explanation.
fn of_help(words: &[&str]) -> Options {
    let program = if words.is_empty() { env!("CARGO_BIN_EXE_rsntpd") } else { env!("CARGO_BIN_EXE_rsntpq") };
    let output = Command::new(program).args(words).arg("--help").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| {
            let line = line.strip_prefix("  ")?.trim_start();
            let (short, rest) = match line.strip_prefix('-')?.split_once(", --") {
                Some((short, rest)) if short.len() == 1 => (Some(short.to_owned()), rest),
                _ => (None, line.strip_prefix("--")?),
            };
            let option = rest.split("  ").next()?;
            let (name, arguments) = option.split_once(' ').unwrap_or((option, ""));
            Some((name.trim_end_matches("...").to_owned(), (short, values(arguments))))
        })
        .collect()
}

/// The options of the page, or of its section: `.It Fl s , Fl -long Ar VALUE`.
fn of_page(page: &str, section: &str) -> Options {
    let text = text(page);
    let heading = |line: &str| line.starts_with(".Sh ") || line.starts_with(".Ss ");
    let lines =
        text.lines().skip_while(|line| !(section.is_empty() || heading(line) && line.ends_with(section)));
    let mut begun = section.is_empty();
    lines
        .take_while(|line| {
            let ends = begun && !section.is_empty() && heading(line);
            begun = true;
            !ends
        })
        .filter_map(|line| {
            let words: Vec<&str> = line.strip_prefix(".It Fl ")?.split(' ').collect();
            let (short, rest) = match words[..] {
                [short, ",", "Fl", ..] => (Some(short.trim_start_matches("\\&").to_owned()), &words[3..]),
                _ => (None, &words[..]),
            };
            let (name, rest) = rest.split_first()?;
            Some((name.strip_prefix('-')?.to_owned(), (short, values(&rest.join(" ")))))
        })
        .collect()
}

fn options_agree() -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for (page, section, words) in PARTS {
        let (help, page_options) = (of_help(words), of_page(page, section));
        let least = if words.is_empty() { 20 } else { 3 };
        assert!(help.len() >= least, "the help text is not understood by this test: {help:?}");
        let place = format!("{page}.8 {section}");
        for (name, of_help) in &help {
            match page_options.get(name) {
                None => wrong.push(format!("{place}: --{name} is missing")),
                Some(of_page) if of_page != of_help => {
                    wrong.push(format!("{place}: --{name} has {of_page:?}, --help says {of_help:?}"));
                }
                Some(_) => {}
            }
        }
        let invented = page_options.keys().filter(|name| !help.contains_key(*name));
        wrong.extend(invented.map(|name| format!("{place}: --{name} is invented")));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn synopsis_is_complete() -> Result<(), Failed> {
    for (page, _, words) in PARTS.iter().filter(|(_, section, _)| ["", "OPTIONS"].contains(section)) {
        synopsis_names(page, &of_help(words))?;
    }
    Ok(())
}

fn synopsis_names(page: &str, help: &Options) -> Result<(), Failed> {
    let text = text(page);
    let synopsis = text.split(".Sh SYNOPSIS").nth(1).unwrap().split(".Sh ").next().unwrap();
    let flags: Vec<&str> = synopsis.lines().filter_map(|l| l.split_once("Fl ").map(|(_, f)| f)).collect();
    for (name, (short, values)) in help {
        let named = flags.iter().any(|f| {
            let word = f.split(' ').next().unwrap_or_default();
            let cluster = values.is_empty() && !f.contains(' ');
            match &short {
                Some(short) if cluster => word.contains(short.as_str()),
                Some(short) => word == short,
                None => word.strip_prefix('-') == Some(name.as_str()),
            }
        });
        if !named && !["help", "version"].contains(&name.as_str()) {
            return Err(format!("{page}.8: --{name} is not in the synopsis").into());
        }
    }
    Ok(())
}

fn mandoc_is_content() -> Result<(), Failed> {
    let pages = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let output = Command::new("mandoc").args(["-T", "lint"]).args(pages).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Whether ntpq's page is installed says nothing about ours.
    let found: Vec<&str> = text.lines().filter(|l| !l.contains("referenced manual not found")).collect();
    if found.is_empty() { Ok(()) } else { Err(found.join("\n").into()) }
}
