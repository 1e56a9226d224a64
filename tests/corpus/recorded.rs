//! The recorded cases: a text, and what ntpd printed of it.

use rsntpd::config::Unreadable;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A text and what ntpd says it understood.
pub struct Case {
    pub name: String,
    pub file: PathBuf,
    pub text: Vec<u8>,
    pub dump: Vec<u8>,
    /// 4.2.6p5 crashed, or lost its own dump: the dump is that of 4.3.91.
    pub by_4_2_8: bool,
}

/// What the includefiles of the second set hold, where they are not in the folder.
const INCLUDED: [(&str, &str); 6] = [
    ("inc/one.conf", "server inc1\nserver inc2\n"),
    ("inc/nonl.conf", "server inc1"),
    ("inc/nonl2.conf", "server inc1 iburst minpoll"),
    ("inc/nested.conf", "server n1\nincludefile inc/two.conf\nserver n2\n"),
    ("inc/two.conf", "server two\n"),
    ("inc/err.conf", "server x\nbogus\nrestrict default nomodify bogus\nserver y\n"),
];

/// Behind the name of an includefile: its first line is lost.
pub const BEHEADED: &str = "~without-its-first-line";

/// Reads an includefile of the recorded cases.
pub fn included(shared: &Path, path: &Path) -> Result<Vec<u8>, Unreadable> {
    let name = path.to_string_lossy();
    let whole = name.strip_suffix(BEHEADED).unwrap_or(&name);
    let there = fs::read(shared.join("corpus").join(whole));
    let known = INCLUDED.iter().find(|(known, _)| *known == whole).map(|(_, text)| text.as_bytes().to_vec());
    let text = there.ok().filter(|_| whole.starts_with("inc/")).or(known);
    let mut text = text.ok_or_else(|| Unreadable("No such file or directory".to_owned()))?;
    if whole.len() < name.len() {
        let end = text.iter().position(|b| *b == b'\n').map_or(text.len(), |at| at + 1);
        text.drain(..end);
    }
    Ok(text)
}

pub fn conf_files(shared: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(shared.join("corpus"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "conf"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

pub fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

/// The whole files.
pub fn file_cases(shared: &Path) -> Vec<Case> {
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

/// The case's text: `\n`, `\r`, `\t` and `\xNN` stand for what they say.
pub fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (octet, used) = match (first, tail.first()) {
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b't')) => (b'\t', 2),
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

/// What a daemon printed, without what it logged; nothing if it crashed, or lost a part of it.
fn whole_dump<'a>(lines: impl Iterator<Item = &'a str>) -> Option<String> {
    let kept: Vec<&str> =
        lines.filter(|l| !l.is_empty() && !l.starts_with("LOG ") && !l.starts_with("getconfig")).collect();
    let lost = |l: &&str| {
        ["rc=", "grep: ", "(process", "# dump error", "# unknown vars", "double free"]
            .iter()
            .any(|m| l.starts_with(m))
    };
    (!kept.iter().any(lost)).then(|| kept.join("\n"))
}

fn micro_case(name: &str, old: Option<String>, new: Option<String>) -> Option<Case> {
    let by_4_2_8 = old.is_none();
    let dump = old.or(new)?.into_bytes();
    Some(Case { name: name.to_owned(), file: PathBuf::from("e.conf"), text: unescape(name), dump, by_4_2_8 })
}

/// The first set of micro-tests: a file of answers of each daemon, with the same cases in the same order.
pub fn micro_cases(shared: &Path) -> Vec<Case> {
    let answers = |version: &str| -> Vec<(String, Option<String>)> {
        let text = fs::read(shared.join(format!("corpus/microtests.{version}.txt"))).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let block = |block: &str| {
            let (name, answer) = block.split_once('\n').unwrap_or((block, ""));
            (name.trim_start_matches("== ").to_owned(), whole_dump(answer.lines()))
        };
        text.split("\n== ").map(block).collect()
    };
    let (old, new) = (answers("4.2.6p5"), answers("4.3.91"));
    assert!(old.iter().map(|a| &a.0).eq(new.iter().map(|a| &a.0)));
    old.into_iter().zip(new).filter_map(|((name, old), (_, new))| micro_case(&name, old, new)).collect()
}

/// The second set: a block for each case, with a section for each daemon.
pub fn second_cases(shared: &Path) -> Vec<Case> {
    let text = fs::read(shared.join("corpus/microtests-2.txt")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut cases = Vec::new();
    for block in text.split("\n== ").skip(1) {
        let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let (name, answers) = block.split_once('\n').unwrap_or((block, ""));
        let mut section = "";
        for line in answers.lines() {
            if let Some(title) = line.strip_prefix("--- ") {
                section = title;
            }
            sections.entry(section).or_default().push(line);
        }
        let of = |daemon: &str| {
            let (title, lines) = sections.iter().find(|(title, _)| title.starts_with(daemon))?;
            whole_dump(lines.iter().skip(1).copied()).filter(|_| !title.contains("crash"))
        };
        cases.extend(micro_case(name, of("ntpd 4.2.6p5"), of("ntpd 4.3.91")));
    }
    cases
}
