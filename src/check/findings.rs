//! `--check`: what is wrong with a configuration, for people, and with `--json` for programs.

use super::{Outcome, json};
use crate::config::model::{Config, LeapTable};
use crate::config::{Diagnostic, Notice, Severity, Style};
use crate::units::DAY;
use std::fmt::Write as _;
use std::path::Path;

/// Days before its end at which a leap second file is reported, as the daemon does.
const LEAP_FILE_SOON: i64 = 28;

/// A configuration and all that was found wrong with it and the files it names.
#[derive(Clone, Debug)]
pub struct Findings<'a> {
    /// The configuration file.
    pub file: &'a Path,
    /// What takes effect.
    pub config: &'a Config,
    /// Errors in single lines.
    pub diagnostics: &'a [Diagnostic],
    /// What is valid and probably wrong, or does nothing.
    pub lints: &'a [Diagnostic],
    /// What no line causes.
    pub notices: &'a [Notice],
    /// How many of the servers the clock can be synchronized to.
    pub usable: usize,
}

impl Findings<'_> {
    /// Whether there are errors.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.count(Severity::Error) > 0 { Outcome::Errors } else { Outcome::Clean }
    }

    /// Every finding, and a closing line.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        for found in self.diagnostics.iter().chain(self.lints) {
            let _ = writeln!(out, "{}\n", found.render(style).trim_end());
        }
        for notice in self.notices {
            let label = if notice.severity == Severity::Error { "error" } else { "warning" };
            let _ = writeln!(out, "{label}: {}\n", notice.text);
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let effect = self.in_effect();
        let file = self.file.display();
        let found = format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
        let rest = if errors > 0 { " rsntpd starts with the rest." } else { "" };
        let _ = writeln!(out, "{file}: {found}.{rest} In effect: {effect}.");
        out
    }

    /// The same as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        format!("{:#}\n", json::object(self))
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        let found = self.diagnostics.iter().chain(self.lints).filter(|found| found.severity == severity);
        found.count() + self.notices.iter().filter(|notice| notice.severity == severity).count()
    }

    fn in_effect(&self) -> String {
        let (config, usable) = (self.config, self.usable);
        let unused = config.source_lines().saturating_sub(usable);
        let sources = match (usable, unused) {
            (_, 0) => counted(usable, "time source"),
            (0, 1) => "no usable time source (the only one is not used)".to_owned(),
            (0, _) => format!("no usable time source (none of {unused} is used)"),
            _ => format!("{} ({unused} more cannot be used)", counted(usable, "time source")),
        };
        let mut parts = vec![sources, counted(config.restrict.len(), "restrict line")];
        parts.push(match &config.driftfile {
            Some(path) => format!("drift file {}", path.display()),
            None => "no drift file".to_owned(),
        });
        parts.join(", ")
    }
}

/// A leap second file that has expired, or will soon. The running daemon reports it once its clock is right.
/// `line` is the `leapfile` line, `unix_now` the time in seconds since 1970.
#[must_use]
pub fn old_leapfile(line: &Diagnostic, table: &LeapTable, unix_now: i64) -> Option<Diagnostic> {
    let left = table.expires? - unix_now;
    let days = left.abs() / DAY;
    let span = match days {
        0 => "less than a day".to_owned(),
        _ => counted(usize::try_from(days).unwrap_or(usize::MAX), "day"),
    };
    let (severity, message, effect) = if left <= 0 {
        let effect = "leap seconds are taken from the servers: install the current file";
        (Severity::Warning, format!("the leap second file expired {span} ago"), effect)
    } else if days < LEAP_FILE_SOON {
        let effect = "from then on leap seconds are taken from the servers: install the current file";
        (Severity::Note, format!("the leap second file expires in {span}"), effect)
    } else {
        return None;
    };
    Some(Diagnostic { severity, message, effect: effect.to_owned(), ..line.clone() })
}

fn counted(n: usize, what: &str) -> String {
    match n {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}
