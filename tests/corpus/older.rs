//! A configuration as ntpd 4.2.6p5 reads it, in text: the entries of docs/differences.md as rules, so
//! that a difference is explained by what the page says, in a file that nobody has looked at as well.
//!
//! The rules take the words of later versions from the table of the language itself.

use rsntpd::config::language::{self, Context, Row, Since, Takes};
use std::collections::BTreeSet;

/// The titles of the entries in docs/differences.md.
pub const FLAGS: &str = "Flags behind an unknown one";
pub const MASK: &str = "A mask behind -4 or -6";
pub const COMMANDS: &str = "Commands of later versions";
pub const WORDS: &str = "Words of later versions";
pub const NUMBERS: &str = "Numbers without a point";
pub const MARK: &str = "A byte order mark";
pub const UNSHOWN: &str = "What the dump does not show";

/// What 4.2.6p5 stores and does not print.
const SILENT: [&str; 2] = ["ntpsigndsocket", "qos"];

/// What 4.2.6p5 would have to be given to do what it did, and by which rules.
pub fn older(text: &[u8]) -> (Vec<u8>, BTreeSet<&'static str>) {
    let mut rules = BTreeSet::new();
    let mut out = Vec::new();
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        if number == 0 && line.starts_with(b"\xef\xbb\xbf") {
            rules.insert(MARK);
        } else {
            out.extend(older_line(line, &mut rules));
        }
        out.push(b'\n');
    }
    (out, rules)
}

/// The words of a line without its remark, each with where it ends.
fn words(line: &[u8]) -> Vec<(&str, usize)> {
    let end = line.iter().position(|b| *b == b'#').unwrap_or(line.len());
    let mut words = Vec::new();
    let mut at = 0;
    for word in line[..end].split(u8::is_ascii_whitespace) {
        at += word.len();
        if !word.is_empty() {
            // What is no UTF-8 is no word of the language.
            words.push((std::str::from_utf8(word).unwrap_or("\u{fffd}"), at));
        }
        at += 1;
    }
    words
}

fn older_line<'l>(line: &'l [u8], rules: &mut BTreeSet<&'static str>) -> &'l [u8] {
    let words = words(line);
    let Some(((first, _), rest)) = words.split_first() else { return line };
    let Some(row) = language::find(Context::Command, first) else { return line };
    if is_late(row) {
        rules.insert(COMMANDS);
        return b"";
    }
    let bare = *first == "crypto" && rest.iter().all(|(word, _)| !shown_of_crypto(word));
    if bare || SILENT.contains(first) {
        rules.insert(UNSHOWN);
        return if rest.first().is_some_and(|(word, _)| *word == "revoke") {
            &line[words[0].1..]
        } else {
            b""
        };
    }
    let cut = |index: usize| &line[..words[index].1];
    for (index, (word, _)) in words.iter().enumerate().skip(1) {
        let behind = words[index - 1].0;
        if let Some(rule) = unread(row, first, behind, word) {
            rules.insert(rule);
            // Where a number must be, the line is lost; elsewhere the rest of it.
            return if rule == NUMBERS && *first != "driftfile" { b"" } else { cut(index - 1) };
        }
    }
    if *first == "restrict" { restrict(line, &words, rules) } else { line }
}

/// Why 4.2.6p5 reads no further than to this word.
fn unread(row: &Row, command: &str, behind: &str, word: &str) -> Option<&'static str> {
    let wants_number = |row: &&Row| matches!(row.takes, Takes::Number);
    let takes_number =
        contexts(command).iter().any(|c| language::find(*c, behind).as_ref().is_some_and(wants_number))
            || (wants_number(&row) && behind == command)
            || command == "driftfile";
    if takes_number && word.parse::<f64>().is_ok() && is_late_number(word) {
        return Some(NUMBERS);
    }
    let late = contexts(command).iter().any(|c| language::find(*c, word).is_some_and(is_late));
    late.then_some(WORDS)
}

fn is_late(row: &Row) -> bool {
    row.since != Since::V426
}

/// 4.2.6p5 wants a point in what has a sign or an exponent.
fn is_late_number(word: &str) -> bool {
    !word.contains('.') && (word.starts_with('+') || word.contains(['e', 'E']))
}

fn shown_of_crypto(word: &str) -> bool {
    language::find(Context::Crypto, word).is_some() && word != "revoke"
}

/// What stands behind a command, where what it loses by a late word is the rest of the line.
fn contexts(command: &str) -> &'static [Context] {
    // The words of restrict have a rule of their own.
    if command == "restrict" { &[] } else { language::options_of(command) }
}

/// A restrict line is read to the first word that is no flag; behind -4 or -6 there is no mask.
fn restrict<'l>(line: &'l [u8], words: &[(&str, usize)], rules: &mut BTreeSet<&'static str>) -> &'l [u8] {
    let family = words.get(1).is_some_and(|(word, _)| word.starts_with("-4") || word.starts_with("-6"));
    let whom = if family { 2 } else { 1 };
    let masked = words.get(whom + 1).is_some_and(|(word, _)| *word == "mask");
    if masked && family {
        rules.insert(MASK);
        return &line[..words[whom].1];
    }
    let first = whom + if masked { 3 } else { 1 };
    for (index, (word, _)) in words.iter().enumerate().skip(first) {
        if language::find(Context::Restrict, word).is_none_or(is_late) {
            rules.insert(FLAGS);
            return &line[..words[index - 1].1];
        }
    }
    line
}
