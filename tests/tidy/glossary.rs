//! Words of our own making, in place of which the field has one: they do not come back where they are gone.

use super::source::{Finding, Source};
use std::collections::BTreeSet;

/// A word, in all its forms, and what stands instead.
pub struct Entry {
    pub words: &'static [&'static str],
    pub instead: &'static str,
}

const fn entry(words: &'static [&'static str], instead: &'static str) -> Entry {
    Entry { words, instead }
}

/// The glossary, as far as a word has no other use.
pub const GLOSSARY: &[Entry] = &[
    entry(&["told", "tell", "tells", "telling"], "log, report, print, warn"),
    entry(&["said"], "reported, printed; an observation"),
    entry(&["whom"], "who is meant: the client, the system peer"),
    entry(&["nobody"], "no client, no process"),
    entry(&["somebody"], "another process, a client"),
    entry(&["everybody"], "every client"),
    entry(&["foretold", "foretell", "foretells"], "predicted, predict"),
    entry(&["remark", "remarks"], "comment"),
    entry(&["octet", "octets"], "byte"),
    entry(&["misfit", "misfits"], "residual, innovation"),
    entry(&["suspicion", "suspicions", "suspicious"], "jump hypothesis"),
    entry(&["twin", "twins"], "paired hypotheses"),
    entry(&["desk"], "control state"),
    entry(&["errand", "errands"], "request to the shell"),
    entry(&["crew"], "workers"),
    entry(&["bereaved"], "worker exited"),
    entry(&["glide", "glides", "gliding", "glided"], "slew"),
    entry(&["learnt"], "estimated from, found"),
    entry(&["belief", "beliefs", "believe", "believes", "believed"], "estimate, state, hypothesis"),
    entry(&["bite", "bites"], "valid but probably wrong"),
];

/// Folders that are free of these words, but for those named here; the first that holds a file decides. The lists of words may only
/// become shorter.
pub const CLEAN: &[(&str, &[&str])] = &[
    // What ntpq prints: `keytype is MD5 with 16 octet digests`.
    ("src/tools", &["octet"]),
    ("src", &[]),
];

/// The words of a line, names taken apart: `best_told` and `BestTold` are two words each. `octets()`, which is the standard
/// library's name, is none.
fn words(line: &str) -> Vec<String> {
    let line = line.replace(".octets()", "");
    let (mut words, mut word, mut before) = (Vec::new(), String::new(), ' ');
    for c in line.chars().chain([' ']) {
        if !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase()) {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphabetic() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What a file has of the glossary's words, if it stands in a clean folder.
pub fn check(source: &Source) -> Vec<Finding> {
    let inside = |folder: &str| source.file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let Some((_, left)) = CLEAN.iter().find(|(folder, _)| inside(folder)) else { return Vec::new() };
    let mut found = Vec::new();
    // The names of tests stay as they are: notes of what was shown refer to them.
    let named = |line: &str, number: usize| source.in_test(number) && line.trim_start().starts_with("fn ");
    for (line, number) in source.text.lines().zip(1..).filter(|(line, number)| !named(line, *number)) {
        for word in words(line).into_iter().collect::<BTreeSet<String>>() {
            let listed = GLOSSARY.iter().find(|entry| entry.words.contains(&word.as_str()));
            let Some(entry) = listed.filter(|_| !left.contains(&word.as_str())) else { continue };
            let what = format!("{word} is no word of the field");
            found.push(source.finding(number, "glossary", what, &format!("write: {}", entry.instead)));
        }
    }
    found
}

#[test]
fn words_are_found_in_names_and_text() {
    assert_eq!(words("let best_told = LeapTold::new();"), ["let", "best", "told", "leap", "told", "new"]);
    assert_eq!(words("v4.octets() // Nobody's, retold"), ["v", "nobody", "s", "retold"]);
    let found = |file: &str, text: &str| check(&Source::parse(file, text).unwrap()).len();
    let text = "/// Whom it tells.\nfn f(best_told: u8) { log(\"nobody\") }\n";
    assert_eq!(found("src/units/a.rs", text), 4);
    assert_eq!(found("src/units/deep/a.rs", text), 4);
    assert_eq!(found("srcs/units/a.rs", text), 0, "that folder is not listed");
    assert_eq!(found("src/units/a.rs", "// So says the manual, in so many words.\nfn f() {}\n"), 0);
    assert_eq!(found("src/units/a.rs", "// An octet.\nfn f() {}\n"), 1);
    assert_eq!(found("src/tools/a.rs", "// An octet.\nfn f() {}\n"), 0);
    let test =
        "#[cfg(test)]\nmod tests {\n    #[test]\n    fn it_is_told() { tell() }\n    // It tells.\n}\n";
    assert_eq!(found("src/units/a.rs", test), 1, "the name of a test");
}
