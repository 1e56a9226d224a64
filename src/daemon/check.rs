//! `--check`: how the configuration is understood, for people, and with `--json` for programs.

mod json;

use super::cli::Options;
use super::setup::{self, Loaded};
use crate::config::Severity;
use crate::config::model::Config;
use crate::core::event::Level;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// Everything was understood.
pub const CLEAN: u8 = 0;
/// Something was not.
pub const NOT_UNDERSTOOD: u8 = 1;
/// The file cannot be read.
pub const UNREADABLE: u8 = 2;

/// Whom the daemon becomes where nobody says otherwise.
const USUAL_USER: &str = "ntp";

/// What to look at, and how to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The configuration.
    pub file: PathBuf,
    /// Whom the daemon will become (`-u`); by default ntp, if there is such a user.
    pub user: Option<String>,
    /// One JSON object and no text.
    pub json: bool,
}

/// [`run`] on standard output, in colours if it is a terminal that shows them. Returns what to exit with.
#[must_use]
pub fn print(request: &Request) -> u8 {
    let mut out = io::stdout().lock();
    let plain =
        std::env::var_os("NO_COLOR").is_some() || std::env::var_os("TERM").is_none_or(|t| t == "dumb");
    let color = out.is_terminal() && !plain;
    finished(run(request, &mut out, &mut io::stderr(), color))
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

/// Prints every diagnostic of the file and of the files it names, what is understood and will bite, and a
/// closing line, to `out`; to `err` why the file cannot be read. Returns what to exit with.
///
/// # Errors
/// Writing failed.
pub fn run(request: &Request, out: &mut dyn Write, err: &mut dyn Write, color: bool) -> io::Result<u8> {
    let user = request.user.clone().unwrap_or_else(|| USUAL_USER.to_owned());
    let configfile = request.file.clone();
    let loaded = setup::load(&Options { configfile, user: Some(user), ..Options::default() });
    if let Some(why) = &loaded.unreadable {
        writeln!(err, "rsntpd: {why}")?;
        return Ok(UNREADABLE);
    }
    let errors = count(&loaded, Severity::Error, Level::Error);
    let warnings = count(&loaded, Severity::Warning, Level::Warning);
    let status = if errors > 0 { NOT_UNDERSTOOD } else { CLEAN };
    if request.json {
        writeln!(out, "{:#}", json::object(&request.file, &loaded, errors, warnings))?;
        return Ok(status);
    }
    for found in loaded.diagnostics.iter().chain(&loaded.lints) {
        writeln!(out, "{}\n", found.render(color).trim_end())?;
    }
    for notice in &loaded.notices {
        let word = if notice.level == Level::Error { "error" } else { "warning" };
        writeln!(out, "{word}: {}\n", notice.text)?;
    }
    let effect = in_effect(&loaded.setup.config);
    let file = request.file.display();
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
    Ok(status)
}

fn count(loaded: &Loaded, severity: Severity, level: Level) -> usize {
    let found =
        loaded.diagnostics.iter().chain(&loaded.lints).filter(|found| found.severity == severity).count();
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
