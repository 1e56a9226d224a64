//! `--check --json`: the findings for editors and configuration management, one object.

use crate::config::{Diagnostic, Severity};
use crate::daemon::start::setup::{Loaded, Notice};
use crate::engine::report::event::Level;
use serde_json::{Value, json};
use std::path::Path;

/// The whole result: errors in single lines, and what is valid and probably wrong (`"lint": true`). Columns count bytes,
/// from 1; `end_column` is behind the last one. What no line causes has no `file`, `line` and columns.
pub(super) fn object(file: &Path, loaded: &Loaded, errors: usize, warnings: usize) -> Value {
    let found = loaded.diagnostics.iter().map(|found| finding(found, false));
    let lints = loaded.lints.iter().map(|found| finding(found, true));
    let notices = loaded.notices.iter().map(notice);
    json!({
        "file": text(file),
        "errors": errors,
        "warnings": warnings,
        "sources": loaded.setup.config.servers.len(),
        "usable_sources": loaded.usable,
        "findings": found.chain(lints).chain(notices).collect::<Vec<Value>>(),
    })
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn finding(found: &Diagnostic, lint: bool) -> Value {
    let severity = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let width = u32::try_from(found.span.len()).unwrap_or(u32::MAX);
    let stack = found.include_stack.iter().map(|(file, line)| json!({ "file": text(file), "line": line }));
    json!({
        "severity": severity,
        "lint": lint,
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
    let severity = match notice.level {
        Level::Error => "error",
        Level::Warning => "warning",
        _ => "note",
    };
    json!({ "severity": severity, "lint": false, "message": notice.text })
}
