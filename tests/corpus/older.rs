//! A configuration as ntpd 4.2.6p5 reads it, in text: the entries of docs/differences.md as rules, so
//! that a difference is explained by what the page says, in a file that nobody has looked at as well.
//!
//! The rules take the words of later versions from the table of the language itself.

use super::recorded::BEHEADED;
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
pub const PREFIX: &str = "A prefix length";
pub const RANGES: &str = "Values out of range";
pub const LARGE: &str = "Large numbers";
pub const SIMULATION: &str = "A simulation";
pub const TTL: &str = "A second ttl";
pub const INCLUDED: &str = "A word behind an includefile";
pub const NUL: &str = "NUL bytes";
pub const LONG: &str = "A word of more than 1024 bytes";
pub const QUOTES: &str = "What the dump does not quote";

/// What 4.2.6p5 stores and does not print.
const SILENT: [&str; 2] = ["ntpsigndsocket", "qos"];

/// What 4.2.6p5 would have to be given to do what it did, and by which rules.
pub fn older(text: &[u8]) -> (Vec<u8>, BTreeSet<&'static str>) {
    let mut rules = BTreeSet::new();
    // It exits at such a word, whatever stands before it.
    let long = |line: &[u8]| words(line).iter().any(|(word, _)| word.len() > 1024);
    if text.split(|b| *b == b'\n').any(long) {
        return (Vec::new(), BTreeSet::from([LONG]));
    }
    let mut out = Vec::new();
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        if number == 0 && line.starts_with(b"\xef\xbb\xbf") {
            rules.insert(MARK);
        } else {
            let kept = older_line(line, &mut rules);
            // All that is behind it is lost.
            if rules.contains(SIMULATION) {
                break;
            }
            out.extend(older_include(&older_numbers(kept, &mut rules), &mut rules));
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

/// Whole numbers that do not fit 32 bits wrap.
fn older_numbers(line: &[u8], rules: &mut BTreeSet<&'static str>) -> Vec<u8> {
    let (mut out, mut from) = (Vec::new(), 0);
    for (word, end) in words(line) {
        let number = word.strip_prefix('-').unwrap_or(word);
        let fits =
            word.parse::<i32>().is_ok() || number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit());
        if !fits {
            rules.insert(LARGE);
            let saturated = word.parse::<i64>().unwrap_or(if number == word { i64::MAX } else { i64::MIN });
            out.extend(&line[from..end - word.len()]);
            out.extend((saturated as i32).to_string().bytes());
            from = end;
        }
    }
    out.extend(&line[from..]);
    out
}

/// What is no command behind the name of an includefile takes its first line along.
fn older_include(line: &[u8], rules: &mut BTreeSet<&'static str>) -> Vec<u8> {
    match words(line)[..] {
        [("includefile", _), (_, end), (junk, _), ..] if language::find(Context::Command, junk).is_none() => {
            rules.insert(INCLUDED);
            [&line[..end], BEHEADED.as_bytes()].concat()
        }
        _ => line.to_vec(),
    }
}

/// A `ttl` behind a `mode` or `ttl` of 8 and more loses the line.
fn second_ttl(words: &[(&str, usize)]) -> bool {
    let mut before = 0;
    for pair in words.windows(2) {
        let ("ttl" | "mode", Ok(value)) = (pair[0].0, pair[1].0.parse::<i64>()) else { continue };
        if pair[0].0 == "ttl" && before >= 8 {
            return true;
        }
        before = value;
    }
    false
}

/// The dump shows the host "default" as the word default.
pub fn unquoted(text: &[u8]) -> Vec<u8> {
    let text = text.utf8_chunks().map(|chunk| chunk.valid().replace("\"default\"", "default"));
    text.collect::<String>().into_bytes()
}

fn older_line<'l>(line: &'l [u8], rules: &mut BTreeSet<&'static str>) -> &'l [u8] {
    let words = words(line);
    let Some(((first, _), rest)) = words.split_first() else { return line };
    let Some(row) = language::find(Context::Command, first) else { return line };
    if is_late(row) {
        rules.insert(COMMANDS);
        return b"";
    }
    if *first == "simulate" {
        rules.insert(SIMULATION);
        return b"";
    }
    if second_ttl(&words) {
        rules.insert(TTL);
        return b"";
    }
    let bare = *first == "crypto" && rest.first().is_none_or(|(word, _)| !shown_of_crypto(word));
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
    let wants_number = |row: &&Row| matches!(row.takes, Takes::Number | Takes::Correction);
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
    let target = words.get(whom).map_or("", |(word, _)| *word);
    let prefix = target
        .split_once('/')
        .is_some_and(|(net, length)| net.parse::<std::net::IpAddr>().is_ok() && length.parse::<u8>().is_ok());
    if prefix {
        rules.insert(PREFIX);
        return b"";
    }
    if masked && (family || target == "default") {
        rules.insert(MASK);
        return &line[..words[whom].1];
    }
    let first = whom + if masked { 3 } else { 1 };
    for (index, (word, _)) in words.iter().enumerate().skip(first) {
        if language::find(Context::Restrict, word).is_none_or(is_late) {
            rules.insert(FLAGS);
            // A comma or the like is a word of its own, wherever it stands.
            let special = word.find(|c| "{}(),;|=".contains(c));
            let flag = special.is_some_and(|at| language::find(Context::Restrict, &word[..at]).is_some());
            let end = words[index].1 - word.len() + special.unwrap_or(0);
            return if flag { &line[..end] } else { &line[..words[index - 1].1] };
        }
    }
    line
}
