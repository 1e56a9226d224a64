//! The examples in conf/examples: nothing is wrong with any of them, and those with reference clocks are right as they are.

use super::read;
use rsntpd::config::{Diagnostic, Severity};
use std::fs;
use std::path::Path;

#[test]
fn nothing_is_wrong_with_the_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/examples");
    let mut clocks = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let parsed = read(&text);
        let has_clock = parsed.config.servers.iter().any(|server| server.target.clock().is_some());
        clocks += usize::from(has_clock);
        let found: Vec<String> = parsed
            .diagnostics
            .iter()
            .chain(&parsed.lints)
            .filter(|found| has_clock || found.severity != Severity::Note)
            .map(Diagnostic::log_line)
            .collect();
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
        // Whoever removes the comment sign gets something that works.
        let other: String = text
            .lines()
            .filter_map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')))
            .fold(String::new(), |all, line| all + line + "\n");
        let errors =
            read(&other).diagnostics.into_iter().filter(|found| found.severity == Severity::Error).count();
        assert_eq!(errors, 0, "{}: {other}", path.display());
    }
    assert_eq!(clocks, 3);
}
