//! `--check --json`: the findings for editors and configuration management, one object.

use super::findings::Findings;
use crate::config::{Diagnostic, Notice, Severity};
use serde_json::{Value, json};
use std::path::Path;

/// The whole result: errors in single lines, and what is valid and probably wrong (`"lint": true`). Columns count bytes,
/// from 1; `end_column` is behind the last one. What no line causes has no `file`, `line` and columns.
pub(super) fn object(findings: &Findings<'_>) -> Value {
    let found = findings.diagnostics.iter().map(|found| finding(found, About::Line));
    let lints = findings.lints.iter().map(|found| finding(found, About::Whole));
    let notices = findings.notices.iter().map(notice);
    json!({
        "file": text(findings.file),
        "errors": findings.count(Severity::Error),
        "warnings": findings.count(Severity::Warning),
        "sources": findings.config.source_lines(),
        "usable_sources": findings.usable,
        "findings": found.chain(lints).chain(notices).collect::<Vec<Value>>(),
    })
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// One line, as it stands.
    Line,
    /// What lines mean together: a lint.
    Whole,
}

fn finding(found: &Diagnostic, about: About) -> Value {
    let width = u32::try_from(found.span.len()).unwrap_or(u32::MAX);
    let stack = found.include_stack.iter().map(|(file, line)| json!({ "file": text(file), "line": line }));
    json!({
        "severity": label(found.severity),
        "lint": about == About::Whole,
        "file": text(&found.file),
        "line": found.line,
        "column": found.column,
        "end_column": found.column.saturating_add(width),
        "source": String::from_utf8_lossy(&found.source),
        "message": found.message,
        "expected": found.expected,
        "suggestion": found.suggestion,
        "effect": found.effect,
        "included_from": stack.collect::<Vec<Value>>(),
    })
}

fn notice(notice: &Notice) -> Value {
    json!({ "severity": label(notice.severity), "lint": false, "message": notice.text })
}

const fn label(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
