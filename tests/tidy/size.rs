//! How long a file and a function may be: what does not fit a screen is not read.

use super::paths::facts;
use super::source::{Finding, Source};

/// Lines of code in a file, its tests, comments and blank lines not counted.
const FILE: usize = 500;
/// Lines of a function, from `fn` to its last brace.
const FUNCTION: usize = 70;

pub fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let code = source.code_lines();
    if code.len() > FILE {
        let last = code.last().copied().unwrap_or(1);
        let what = format!("{} lines of code, at most {FILE}", code.len());
        found.push(source.finding(last, "file size", what, "move one of its questions to a file of its own"));
    }
    for (name, first, last) in facts(source, &[]).functions {
        let lines = last - first + 1;
        if lines > FUNCTION {
            let what = format!("`{name}` has {lines} lines, at most {FUNCTION}");
            found.push(source.finding(first, "function size", what, "name a part of it as a function"));
        }
    }
    found
}

#[test]
fn long_files_are_told() {
    let text = |lines: usize| "// why\nconst A: u8 = 0;\n\n".repeat(lines);
    let rules = |file: &str, text: &str| check(&Source::parse(file, text).unwrap()).len();
    assert_eq!(rules("src/engine/a.rs", &text(500)), 0);
    assert_eq!(rules("src/engine/a.rs", &text(501)), 1);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", text(600));
    assert_eq!(rules("src/engine/a.rs", &tests), 0);
    assert_eq!(rules("tests/a.rs", &text(501)), 1);
}

#[test]
fn long_functions_are_told() {
    let text =
        |lines: usize| format!("impl A {{\n    fn long() {{\n{}    }}\n}}\n", "    f();\n".repeat(lines - 2));
    let rules = |text: &str| check(&Source::parse("src/engine/a.rs", text).unwrap());
    assert!(rules(&text(70)).is_empty());
    let found = rules(&text(71));
    assert_eq!((found[0].line, found[0].what.as_str()), (2, "`long` has 71 lines, at most 70"));
    assert_eq!(rules(&format!("proptest! {{\n{}}}\n", text(71))).len(), 1);
}
