//! `--check`: how the configuration is understood, for people.

use super::cli::Options;
use super::setup::{self, Loaded};
use crate::config::Severity;
use crate::config::model::Config;
use crate::core::event::Level;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// Everything was understood.
pub const CLEAN: u8 = 0;
/// Something was not.
pub const NOT_UNDERSTOOD: u8 = 1;
/// The file cannot be read.
pub const UNREADABLE: u8 = 2;

/// [`run`] on standard output, in colours if it is a terminal that shows them. Returns what to exit with.
#[must_use]
pub fn print(file: &Path) -> u8 {
    let mut out = io::stdout().lock();
    let plain =
        std::env::var_os("NO_COLOR").is_some() || std::env::var_os("TERM").is_none_or(|t| t == "dumb");
    let color = out.is_terminal() && !plain;
    finished(run(file, &mut out, &mut io::stderr(), color))
}

/// The exit status of what was printed. A reader that went away (`| head`) is no failure of ours.
pub(super) fn finished(result: io::Result<u8>) -> u8 {
    match result {
        Ok(status) => status,
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => CLEAN,
        Err(why) => {
            let _ = writeln!(io::stderr(), "rsntpd: cannot write: {why}");
            UNREADABLE
        }
    }
}

/// Prints every diagnostic of `file` and of the files it names, and a closing line, to `out`; to `err` why
/// the file cannot be read. Returns what to exit with.
///
/// # Errors
/// Writing failed.
pub fn run(file: &Path, out: &mut dyn Write, err: &mut dyn Write, color: bool) -> io::Result<u8> {
    let loaded = setup::load(&Options { configfile: file.to_owned(), ..Options::default() });
    if let Some(why) = &loaded.unreadable {
        writeln!(err, "rsntpd: {why}")?;
        return Ok(UNREADABLE);
    }
    for found in &loaded.diagnostics {
        writeln!(out, "{}\n", found.render(color).trim_end())?;
    }
    for notice in &loaded.notices {
        let word = if notice.level == Level::Error { "error" } else { "warning" };
        writeln!(out, "{word}: {}\n", notice.text)?;
    }
    let errors = count(&loaded, Severity::Error, Level::Error);
    let warnings = count(&loaded, Severity::Warning, Level::Warning);
    let effect = in_effect(&loaded.setup.config);
    let file = file.display();
    match (errors, warnings) {
        (0, 0) => writeln!(out, "{file}: everything is understood. In effect: {effect}.")?,
        (0, _) => {
            let warnings = counted(warnings, "warning");
            writeln!(out, "{file}: everything is understood, with {warnings}. In effect: {effect}.")?;
        }
        _ => {
            let found = [counted(errors, "error"), counted(warnings, "warning")].join(" and ");
            writeln!(out, "{file}: {found}. rsntpd starts with the rest. In effect: {effect}.")?;
        }
    }
    Ok(if errors > 0 { NOT_UNDERSTOOD } else { CLEAN })
}

fn count(loaded: &Loaded, severity: Severity, level: Level) -> usize {
    let found = loaded.diagnostics.iter().filter(|found| found.severity == severity).count();
    found + loaded.notices.iter().filter(|notice| notice.level == level).count()
}

fn in_effect(config: &Config) -> String {
    let mut parts =
        vec![counted(config.servers.len(), "time source"), counted(config.restrict.len(), "restrict line")];
    parts.push(match &config.driftfile {
        Some(path) => format!("drift file {}", path.display()),
        None => "no drift file".to_owned(),
    });
    parts.join(", ")
}

fn counted(n: usize, what: &str) -> String {
    match n {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}
