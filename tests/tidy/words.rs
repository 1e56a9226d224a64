//! What must not be left behind in a text, and what needs a word of explanation.

use super::paths::facts;
use super::source::{Finding, Source};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// Notes to oneself: an issue is the place for what remains to be done.
const NOTES: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];
/// Macros of code that is not there yet.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];
/// How many lines above its block a SAFETY note may begin.
const SAFETY_ABOVE: usize = 6;

/// The note that stands in this line as a word of its own.
fn note(line: &str) -> Option<&'static str> {
    let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.find_map(|word| NOTES.iter().find(|n| **n == word).copied())
}

/// Notes in a text that is not Rust.
pub fn notes(file: &str, text: &str) -> Vec<Finding> {
    let found = text.lines().zip(1..).filter_map(|(line, number)| Some((number, note(line)?)));
    found
        .map(|(line, note)| Finding {
            file: file.to_owned(),
            line,
            rule: "leftover",
            what: format!("{note} is left"),
            remedy: "do it, or file an issue and remove the note".to_owned(),
        })
        .collect()
}

/// Leftovers, silenced lints and `unsafe` in a Rust file.
pub fn check(source: &Source) -> Vec<Finding> {
    let comments = source.comments();
    let mut found = notes(&source.file, &comments.join("\n"));
    let facts = facts(source, &[]);
    for called in facts.macros.iter().filter(|m| UNFINISHED.contains(&m.name.as_str())) {
        let remedy = "write the code, or return an error that says what is missing";
        found.push(source.finding(called.line, "leftover", format!("{}! is left", called.name), remedy));
    }
    let mut attributes = Attributes { source, comments: &comments, found: Vec::new() };
    attributes.visit_file(&source.syntax);
    found.extend(attributes.found);
    for (line, block) in facts.unsafes {
        if !source.file.starts_with("src/sys/") {
            let remedy = "put a safe function into src/sys and call that";
            found.push(source.finding(line, "unsafe", "unsafe outside of src/sys".to_owned(), remedy));
        } else if block && !has_safety_note(source, &comments, line) {
            let remedy = "say above it in a comment `SAFETY: …` why it is sound";
            found.push(source.finding(line, "unsafe", "unsafe without a SAFETY note".to_owned(), remedy));
        }
    }
    found
}

/// Whether the comment right above this line's statement says why it is sound.
fn has_safety_note(source: &Source, comments: &[String], line: usize) -> bool {
    let code: Vec<&str> = source.text.lines().collect();
    let mut in_comment = false;
    for above in (line.saturating_sub(SAFETY_ABOVE + 1)..line - 1).rev() {
        let comment = comments[above].trim();
        // The statement may begin a line or two higher, with an attribute or a `let`.
        let ends_another = code[above].trim().is_empty() || code[above].ends_with([';', '{', '}']);
        if comment.is_empty() && (in_comment || ends_another) {
            return false;
        }
        if comment.starts_with("// SAFETY: ") {
            return true;
        }
        in_comment |= !comment.is_empty();
    }
    false
}

struct Attributes<'a> {
    source: &'a Source,
    comments: &'a [String],
    found: Vec<Finding>,
}

impl<'ast> Visit<'ast> for Attributes<'_> {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let (first, last) = (attribute.span().start().line, attribute.span().end().line);
        let words = match &attribute.meta {
            syn::Meta::List(list) => list.tokens.to_string(),
            _ => String::new(),
        };
        let path = attribute.path();
        if path.is_ident("ignore") || (path.is_ident("cfg_attr") && words.contains("ignore")) {
            let remedy = "make the test run, or remove it; what a machine lacks is told as skipped";
            self.found.push(self.source.finding(first, "leftover", "an ignored test".to_owned(), remedy));
        }
        // The SAFETY note gives the reason for `unsafe_code`.
        if (path.is_ident("allow") || path.is_ident("expect")) && words != "unsafe_code" {
            let near = self.comments[first.saturating_sub(2)..last].iter();
            let told = near.map(|c| c.trim()).any(|c| c.starts_with("// ")) || words.contains("reason =");
            if !told {
                let remedy = "say why beside it or in the line above";
                self.found.push(self.source.finding(first, "silence", format!("allow({words})"), remedy));
            }
        }
        visit::visit_attribute(self, attribute);
    }
}

#[cfg(test)]
fn broken(file: &str, text: &str) -> Vec<String> {
    let found = check(&Source::parse(file, text).unwrap());
    found.into_iter().map(|f| format!("{} {}: {}", f.line, f.rule, f.what)).collect()
}

#[test]
fn leftovers_are_found_where_they_are_meant() {
    for word in NOTES {
        let text = format!("fn f() {{\n    g(); // {word}: later\n}}\n");
        assert_eq!(broken("src/engine/a.rs", &text), [format!("2 leftover: {word} is left")]);
        assert_eq!(notes("tests/a.sh", &format!("#!/bin/sh\n# {word}\n")).len(), 1);
    }
    assert_eq!(broken("tests/a.rs", "fn f() { g(\"TODO\") }"), [""; 0]);
    assert!(notes("tests/a.sh", "mktemp -d a.XXXXXX").is_empty());
    for word in UNFINISHED {
        let found = broken("src/engine/a.rs", &format!("fn f() {{ {word}!() }}"));
        assert_eq!(found, [format!("1 leftover: {word}! is left")]);
    }
    assert_eq!(broken("tests/a.rs", "#[test]\n#[ignore]\nfn f() {}"), ["2 leftover: an ignored test"]);
    assert_eq!(broken("tests/a.rs", "#[cfg_attr(x, ignore)]\nfn f() {}"), ["1 leftover: an ignored test"]);
}

#[test]
fn silence_needs_a_reason() {
    assert_eq!(broken("src/engine/a.rs", "#[allow(dead_code)]\nfn f() {}"), ["1 silence: allow(dead_code)"]);
    assert_eq!(broken("src/engine/a.rs", "/// Text.\n#[expect(dead_code)]\nfn f() {}").len(), 1);
    assert_eq!(broken("src/engine/a.rs", "#[allow(dead_code)] // for tests\nfn f() {}"), [""; 0]);
    assert_eq!(broken("src/engine/a.rs", "// For tests.\n#[allow(dead_code)]\nfn f() {}"), [""; 0]);
    assert_eq!(broken("src/engine/a.rs", "#[allow(dead_code, reason = \"tests\")]\nfn f() {}"), [""; 0]);
}

#[test]
fn unsafe_stays_in_its_place_and_explains_itself() {
    let noted = "fn f() {\n    // SAFETY: it reads nothing.\n    #[allow(unsafe_code)]\n    let x =\n        unsafe { g() };\n}";
    assert_eq!(broken("src/sys/a.rs", noted), [""; 0]);
    assert_eq!(broken("src/daemon/a.rs", noted), ["5 unsafe: unsafe outside of src/sys"]);
    assert_eq!(broken("tests/a.rs", noted), ["5 unsafe: unsafe outside of src/sys"]);
    let bare = "fn f() {\n    // Fast.\n    unsafe { g() }\n}";
    assert_eq!(broken("src/sys/a.rs", bare), ["3 unsafe: unsafe without a SAFETY note"]);
    let second = "fn f() {\n    // SAFETY: the first.\n    unsafe { g() };\n    unsafe { h() }\n}";
    assert_eq!(broken("src/sys/a.rs", second), ["4 unsafe: unsafe without a SAFETY note"]);
    let far = "fn f() {\n    // SAFETY: the first.\n    unsafe { g() };\n    // Then:\n    unsafe { h() }\n}";
    assert_eq!(broken("src/sys/a.rs", far), ["5 unsafe: unsafe without a SAFETY note"]);
}
