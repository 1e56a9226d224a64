//! `--check`: what is wrong with the configuration, for people, and with `--json` for programs.

mod json;

use super::start::cli::Options;
use super::start::setup::{self, Loaded, Notice};
use crate::config::{Diagnostic, Severity};
use crate::engine::report::event::Level;
use crate::sys::privileges::Account;
use std::io::{self, IsTerminal, Write};
use std::time::SystemTime;

/// There are no errors.
pub const CLEAN: u8 = 0;
/// There are errors.
pub const NOT_UNDERSTOOD: u8 = 1;
/// The file cannot be read.
pub const UNREADABLE: u8 = 2;

/// Days before its end at which a leap second file is reported, as the daemon does.
const LEAP_FILE_SOON: i64 = 28;
const SECONDS_OF_DAY: i64 = 86_400;
/// The user that the daemon becomes by default.
const USUAL_USER: &str = "ntp";

/// What to look at, and how to report it.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// The command line of the daemon, which the configuration is read under: `-u`, `-k`, `-4` and so on. Without
    /// `-u`, the user is taken to be ntp, if there is such a user.
    pub options: Options,
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

/// Prints every diagnostic of the file and of the files it names, what is valid and probably wrong, and a
/// closing line, to `out`; to `err` why the file cannot be read. Returns what to exit with.
///
/// # Errors
/// Writing failed.
pub fn run(request: &Request, out: &mut dyn Write, err: &mut dyn Write, color: bool) -> io::Result<u8> {
    let mut options = request.options.clone();
    options.user.get_or_insert_with(|| USUAL_USER.to_owned());
    let mut loaded = setup::load(&options);
    if let Some(why) = &loaded.unreadable {
        writeln!(err, "rsntpd: {why}")?;
        return Ok(UNREADABLE);
    }
    loaded.notices.extend(refusals(&request.options));
    loaded.lints.extend(old_leapfile(&loaded, SystemTime::now()));
    let errors = count(&loaded, Severity::Error, Level::Error);
    let warnings = count(&loaded, Severity::Warning, Level::Warning);
    let status = if errors > 0 { NOT_UNDERSTOOD } else { CLEAN };
    if request.json {
        writeln!(out, "{:#}", json::object(&options.configfile, &loaded, errors, warnings))?;
        return Ok(status);
    }
    for found in loaded.diagnostics.iter().chain(&loaded.lints) {
        writeln!(out, "{}\n", found.render(color).trim_end())?;
    }
    for notice in &loaded.notices {
        let word = if notice.level == Level::Error { "error" } else { "warning" };
        writeln!(out, "{word}: {}\n", notice.text)?;
    }
    let effect = in_effect(&loaded);
    let file = options.configfile.display();
    let found = format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
    let rest = if errors > 0 { " rsntpd starts with the rest." } else { "" };
    writeln!(out, "{file}: {found}.{rest} In effect: {effect}.")?;
    Ok(status)
}

fn count(loaded: &Loaded, severity: Severity, level: Level) -> usize {
    let found =
        loaded.diagnostics.iter().chain(&loaded.lints).filter(|found| found.severity == severity).count();
    found + loaded.notices.iter().filter(|notice| notice.level == level).count()
}

/// Why the daemon would not start under this command line.
fn refusals(options: &Options) -> Vec<Notice> {
    let mut found = Vec::new();
    if let Some(user) = &options.user
        && let Err(why) = Account::find(user)
    {
        found.push(format!("-u {user}: {why}; the daemon does not start"));
    }
    if let Some(root) = options.jaildir.as_deref().filter(|root| !root.is_dir()) {
        found.push(format!("-i {}: there is no such directory; the daemon does not start", root.display()));
    }
    found.into_iter().map(|text| Notice { level: Level::Error, text }).collect()
}

/// A leap second file that has expired, or will soon. The running daemon reports it once its clock is right.
fn old_leapfile(loaded: &Loaded, now: SystemTime) -> Option<Diagnostic> {
    let (mark, expires) = (loaded.leapfile.as_ref()?, loaded.setup.leap_table.as_ref()?.expires?);
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let left = expires - i64::try_from(now).ok()?;
    let days = left.abs() / SECONDS_OF_DAY;
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
    Some(Diagnostic { severity, message, effect: effect.to_owned(), ..mark.clone() })
}

fn in_effect(loaded: &Loaded) -> String {
    let (config, usable) = (&loaded.setup.config, loaded.usable);
    let unused = config.servers.len().saturating_sub(usable);
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

fn counted(n: usize, what: &str) -> String {
    match n {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}
