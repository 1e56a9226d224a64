//! `--check`, `--explain`, `--print-config` and `--help-config`: reads the files for `src/check`, and prints its texts.

use super::cli::{CheckRequest, Options};
use super::setup::{self, Loaded};
use crate::check::{self, Findings, Outcome, Place, Printed};
use crate::config::language;
use crate::config::model::Origin;
use crate::config::{self, Notice, Severity, Style, Unreadable};
use crate::daemon::{files, log};
use crate::sys::interfaces;
use crate::sys::privileges::Account;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The user that the daemon becomes by default.
const USUAL_USER: &str = "ntp";

/// `--check`: every finding, in colours if standard output is a terminal that shows them. Returns the exit status.
#[must_use]
pub fn check(request: &CheckRequest) -> u8 {
    let mut options = request.options.clone();
    options.user.get_or_insert_with(|| USUAL_USER.to_owned());
    let mut loaded = setup::load(&options);
    if let Some(why) = &loaded.unreadable {
        return unreadable(why);
    }
    loaded.notices.extend(refusals(&request.options));
    loaded.lints.extend(old_leapfile(&loaded));
    let findings = Findings {
        file: &options.configfile,
        config: &loaded.setup.config,
        diagnostics: &loaded.diagnostics,
        lints: &loaded.lints,
        notices: &loaded.notices,
        usable: loaded.usable,
    };
    let text = if request.json { findings.json() } else { findings.text(style()) };
    print(text.as_bytes(), findings.outcome())
}

fn style() -> Style {
    let plain =
        std::env::var_os("NO_COLOR").is_some() || std::env::var_os("TERM").is_none_or(|t| t == "dumb");
    if io::stdout().is_terminal() && !plain { Style::Color } else { Style::Plain }
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
    found.into_iter().map(|text| Notice { severity: Severity::Error, text }).collect()
}

fn old_leapfile(loaded: &Loaded) -> Option<config::Diagnostic> {
    let (line, table) = (loaded.leapfile.as_ref()?, loaded.setup.leap_table.as_ref()?);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    check::old_leapfile(line, table, i64::try_from(now).ok()?)
}

/// `--explain`: what `address` may do under `file`. Returns the exit status.
#[must_use]
pub fn explain(address: IpAddr, file: &Path) -> u8 {
    let loaded = setup::load(&Options { configfile: file.to_owned(), ..Options::default() });
    if let Some(why) = &loaded.unreadable {
        return unreadable(why);
    }
    // What a machine without addresses would do, where they cannot be listed.
    let own: Vec<IpAddr> = interfaces::list().unwrap_or_default().iter().map(|l| l.address.ip()).collect();
    let place = Place { config: &loaded.setup.config, own: &own };
    let mut lines = Lines::default();
    let text = check::explain(address, &place, &mut |origin| lines.find(origin));
    print(text.as_bytes(), Outcome::Clean)
}

/// The lines of the files, to be shown beside their numbers.
#[derive(Default)]
struct Lines {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Lines {
    fn find(&mut self, origin: &Origin) -> Option<String> {
        let text = self.files.entry(origin.file.clone()).or_insert_with(|| {
            // It was readable a moment ago; if it no longer is, the number has to do.
            files::read(&origin.file).unwrap_or_default()
        });
        let index = (origin.line as usize).saturating_sub(1);
        let line = text.split(|byte| *byte == b'\n').nth(index).unwrap_or_default();
        Some(log::printable(String::from_utf8_lossy(line).trim())).filter(|line| !line.is_empty())
    }
}

/// `--print-config`: what of `file` is in effect, to standard output; its errors to standard error. Returns the exit status.
#[must_use]
pub fn print_config(file: &Path) -> u8 {
    match printed(file) {
        Ok(printed) => print(&printed.text, printed.outcome()),
        Err(status) => status,
    }
}

/// `--saveconfigquit`: the same, to the file `to`.
#[must_use]
pub fn save_config(file: &Path, to: &Path) -> u8 {
    match printed(file) {
        Ok(printed) => finished(std::fs::write(to, &printed.text), Outcome::Clean),
        Err(status) => status,
    }
}

/// What is in effect, once the errors are on standard error; or the exit status if the file cannot be read.
fn printed(file: &Path) -> Result<Printed, u8> {
    let text = files::read_or_pipe(file)
        .map_err(|why| unreadable(&format!("{}: {}", file.display(), files::words(&why))))?;
    let parsed = config::parse(file, &text, &mut |path| {
        files::read(path).map_err(|why| Unreadable(files::words(&why)))
    });
    let printed = Printed::of(&parsed);
    let mut err = io::stderr().lock();
    let written = printed.errors.iter().try_for_each(|line| writeln!(err, "{line}"));
    match written {
        Ok(()) => Ok(printed),
        Err(why) => Err(finished(Err(why), Outcome::Clean)),
    }
}

/// `--help-config`: explains a keyword of ntp.conf, or lists all. Returns the exit status: 0, or 1 if there is no such keyword.
#[must_use]
pub fn help_config(word: Option<&str>) -> u8 {
    let text = match word.map(language::help::help) {
        None => language::help::list(),
        Some(Ok(text)) => text,
        Some(Err(why)) => {
            // With nowhere to print to, the exit status has to do.
            let _ = writeln!(io::stderr(), "rsntpd: {why}");
            return Outcome::Errors.exit_status();
        }
    };
    print(text.as_bytes(), Outcome::Clean)
}

fn unreadable(why: &str) -> u8 {
    finished(writeln!(io::stderr(), "rsntpd: {why}"), Outcome::Unreadable)
}

fn print(text: &[u8], outcome: Outcome) -> u8 {
    finished(io::stdout().lock().write_all(text), outcome)
}

/// The exit status of what was printed. A reader that went away (`| head`) is no failure of ours.
fn finished(result: io::Result<()>, outcome: Outcome) -> u8 {
    match result {
        Ok(()) => outcome.exit_status(),
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Outcome::Clean.exit_status(),
        Err(why) => {
            let _ = writeln!(io::stderr(), "rsntpd: cannot write: {why}");
            Outcome::Unreadable.exit_status()
        }
    }
}
