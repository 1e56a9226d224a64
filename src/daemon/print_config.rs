//! `--print-config` and `--help-config`: the configuration in ntpd's own words, and what a word means.

use super::{check, files};
use crate::config::{self, Severity, language};
use std::io::{self, Write};
use std::path::Path;

/// [`run`] on standard output and standard error. Returns what to exit with.
#[must_use]
pub fn print(file: &Path) -> u8 {
    check::finished(run(file, &mut io::stdout().lock(), &mut io::stderr().lock()))
}

/// [`run`] to a file, and standard error. Returns what to exit with.
#[must_use]
pub fn save(file: &Path, to: &Path) -> u8 {
    let mut out = Vec::new();
    let printed = run(file, &mut out, &mut io::stderr().lock());
    check::finished(printed.and_then(|status| match status {
        check::UNREADABLE => Ok(status),
        _ => std::fs::write(to, &out).map(|()| check::CLEAN),
    }))
}

/// Prints what of `file` is in effect, in canonical ntp.conf syntax, to `out`; read again, it means the
/// same. What was not understood goes to `err`, a line each. Returns what to exit with: 0, 1 if something
/// was not understood, 2 if the file cannot be read.
///
/// # Errors
/// Writing failed.
pub fn run(file: &Path, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let text = match files::read_or_pipe(file) {
        Ok(text) => text,
        Err(why) => {
            writeln!(err, "rsntpd: {}: {}", file.display(), files::words(&why))?;
            return Ok(check::UNREADABLE);
        }
    };
    let parsed = config::parse(file, &text, &mut |path| files::read(path).map_err(|why| files::words(&why)));
    let errors: Vec<_> =
        parsed.diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
    for found in &errors {
        writeln!(err, "{}", found.log_line())?;
    }
    out.write_all(&config::print(&parsed.config))?;
    Ok(if errors.is_empty() { check::CLEAN } else { check::NOT_UNDERSTOOD })
}

/// Explains a word of ntp.conf, or lists all words. Returns what to exit with: 0, or 1 if there is no
/// such word.
#[must_use]
pub fn help(word: Option<&str>) -> u8 {
    let text = match word.map(language::help::help) {
        None => language::help::list(),
        Some(Ok(text)) => text,
        Some(Err(why)) => {
            // With nowhere to print to, the exit status has to do.
            let _ = writeln!(io::stderr(), "rsntpd: {why}");
            return check::NOT_UNDERSTOOD;
        }
    };
    check::finished(io::stdout().write_all(text.as_bytes()).map(|()| check::CLEAN))
}
