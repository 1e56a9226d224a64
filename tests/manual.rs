//! The manual page says what `rsntpd --help` says: the same options with the same values; the page of the
//! configuration is made from the table of the language (`UPDATE=1` writes it); and
//! the pages are good mdoc (where mandoc is installed; without it that test reports itself ignored).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails
#![allow(unreachable_pub)] // the modules of a test have no other readers

#[path = "manual/page.rs"]
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

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man/rsntpd.8")
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

/// The options of `rsntpd --help`: lines of two spaces, `-s, ` or four spaces, `--long VALUES`, and,
/// after two more spaces, the explanation.
fn of_help() -> Options {
    let output = Command::new(env!("CARGO_BIN_EXE_rsntpd")).arg("--help").output().unwrap();
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

/// The options of the page: `.It Fl s , Fl -long Ar VALUE`.
fn of_page() -> Options {
    let text = std::fs::read_to_string(page()).unwrap();
    text.lines()
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
    let (help, page) = (of_help(), of_page());
    assert!(help.len() > 20, "the help text is not understood by this test: {help:?}");
    let missing: Vec<_> = help.iter().filter(|(name, _)| !page.contains_key(*name)).collect();
    let invented: Vec<_> = page.iter().filter(|(name, _)| !help.contains_key(*name)).collect();
    let different: Vec<_> =
        help.iter().filter_map(|(n, h)| page.get(n).filter(|p| *p != h).map(|p| (n, h, p))).collect();
    if missing.is_empty() && invented.is_empty() && different.is_empty() {
        return Ok(());
    }
    Err(format!("not in the page: {missing:?}\nonly in the page: {invented:?}\ndifferent: {different:?}")
        .into())
}

fn synopsis_is_complete() -> Result<(), Failed> {
    let text = std::fs::read_to_string(page()).unwrap();
    let synopsis = text.split(".Sh SYNOPSIS").nth(1).unwrap().split(".Sh ").next().unwrap();
    let flags: Vec<&str> = synopsis.lines().filter_map(|l| l.split_once("Fl ").map(|(_, f)| f)).collect();
    for (name, (short, values)) in of_help() {
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
            return Err(format!("--{name} is not in the synopsis").into());
        }
    }
    Ok(())
}

fn mandoc_is_content() -> Result<(), Failed> {
    let output =
        Command::new("mandoc").args(["-T", "lint"]).args([page(), configuration_page()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Whether ntpq's page is installed says nothing about ours.
    let found: Vec<&str> = text.lines().filter(|l| !l.contains("referenced manual not found")).collect();
    if found.is_empty() { Ok(()) } else { Err(found.join("\n").into()) }
}
