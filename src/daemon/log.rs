//! Where the log goes: syslog, a file, standard error. It never stops the daemon: what cannot be
//! written is counted, and the count is logged as soon as something can be.

mod file;
mod squelch;
mod syslog;

use self::file::LogFile;
use self::squelch::Squelch;
use self::syslog::Syslog;
use super::files::words;
use super::start::cli::Options;
use crate::engine::report::event::Level;
use crate::sys::clock;
use crate::sys::privileges::Account;
use crate::sys::seccomp::{self, LastWords};
use chrono::{DateTime, Local};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

/// Unix time at the beginning of year 1 and near the end of year 9999: what dates are written for.
const YEARS: (i64, i64) = (-62_135_596_800, 253_402_200_000);

/// Longest line, bytes: what every syslog daemon takes in one piece.
const LINE_MAX: usize = 1900;

/// The daemon's log.
///
/// Lines go to the file where one is set, else to syslog (facility daemon), and in the foreground to standard error as
/// well, unless that leads to the journal, where syslog's lines come together with it. A file that cannot be written is reported once, and
/// syslog takes its place until it can be written again.
#[derive(Debug)]
pub struct Log {
    syslog: Syslog,
    file: Option<LogFile>,
    stderr: bool,
    /// Standard error leads to where syslog's lines come, too.
    journal: bool,
    /// The name in front of every line: the one that the daemon was started by.
    ident: String,
    threshold: Level,
    squelch: Squelch,
}

impl Log {
    /// The log that the command line asks for: syslog or the file of `-l`; with `-n` (or what implies it) and
    /// without `-l` standard error as well. Lines of [`Level::Debug`] are kept only with `-d` or `-D`.
    #[must_use]
    pub fn start(options: &Options) -> Self {
        let mut log = Self::with_syslog(Syslog::standard(&options.name));
        log.ident.clone_from(&options.name);
        log.journal = log.syslog.is_connected() && stderr_is_journal();
        log.stderr = options.nofork && !log.journal;
        if options.debug > 0 {
            log.threshold = Level::Debug;
        }
        if let Some(path) = &options.logfile {
            log.use_file(path);
        }
        log
    }

    fn with_syslog(syslog: Syslog) -> Self {
        Self {
            syslog,
            file: None,
            stderr: false,
            journal: false,
            ident: "rsntpd".to_owned(),
            threshold: Level::Info,
            squelch: Squelch::new(Instant::now()),
        }
    }

    /// Appends to the file at `path` from now on (`-l`, `logfile`). If it cannot be opened this says so, and
    /// the log stays where it is. Returns whether the file is in use.
    pub fn use_file(&mut self, path: &Path) -> bool {
        if self.file.as_ref().is_some_and(|file| file.path() == path) {
            return true;
        }
        match LogFile::open(path) {
            Ok(file) => {
                self.flush();
                self.file = Some(file);
                self.stderr = false;
                self.lead_there();
                true
            }
            Err(why) => {
                let text = format!("Cannot open log file {}: {why}", path.display());
                self.write(Level::Error, &text);
                false
            }
        }
    }

    /// Keeps errors only from now on: where another process of ours logs all the rest.
    pub const fn keep_errors(&mut self) {
        self.threshold = Level::Error;
    }

    /// Opens the log file anew, for log rotation. Without a log file nothing happens. If it cannot be opened, the file
    /// that is open stays in use, and the reason is written there and to syslog, and returned.
    pub fn reopen(&mut self) -> Option<String> {
        let file = self.file.as_mut()?;
        let Some(why) = file.reopen().err() else {
            self.lead_there();
            return None;
        };
        let path = file.path().display();
        let failure = format!("cannot open log file {path} anew: {}; the old file stays in use", words(&why));
        self.syslog.send(Level::Error, &failure);
        self.write(Level::Error, &failure);
        Some(failure)
    }

    /// Makes the log file the user's that the daemon is about to become, who is to open it anew.
    pub fn hand_to(&mut self, account: &Account) {
        if let Some(file) = &self.file
            && let Err(why) = file.hand_to(account)
        {
            let path = file.path().display();
            let failure = format!("log file {path}: {}; it cannot be opened anew for rotation", words(&why));
            self.write(Level::Warning, &failure);
        }
    }

    /// What ends the process in the midst of a system call is logged, too.
    fn lead_there(&self) {
        seccomp::log_to(match &self.file {
            Some(file) => file.raw_fd().map(LastWords::File),
            None => self.syslog.raw_fd().map(LastWords::Syslog),
        });
    }

    /// Whether who looks at standard error sees the lines anyway.
    #[must_use]
    pub const fn is_seen(&self) -> bool {
        self.stderr || (self.journal && self.file.is_none())
    }

    /// Writes several lines.
    pub fn write_all(&mut self, lines: impl IntoIterator<Item = (Level, String)>) {
        for (level, text) in lines {
            self.write(level, &text);
        }
    }

    /// Writes a line. Control characters are escaped, long lines are cut, repeats are counted instead of
    /// written.
    pub fn write(&mut self, level: Level, text: &str) {
        if level > self.threshold {
            return;
        }
        let lines = self.squelch.admit(Instant::now(), level, printable(text));
        for (level, line) in lines {
            self.emit(level, &line);
        }
    }

    /// Writes what is still held back (the count of repeats). Done by itself at the end.
    pub fn flush(&mut self) {
        if let Some((level, line)) = self.squelch.flush() {
            self.emit(level, &line);
        }
    }

    fn emit(&mut self, level: Level, line: &str) {
        if self.stderr {
            // Perhaps no process reads it; that is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{}", stamped(&self.ident, line));
        }
        let Some(file) = &mut self.file else {
            self.syslog.send(level, line);
            self.lead_there();
            return;
        };
        match file.append(line, |text| stamped(&self.ident, text)) {
            file::Appended::Yes => {}
            file::Appended::FailedNow(why) => {
                let path = file.path().display();
                let failure = format!("cannot write the log file {path}: {why}; logging to syslog meanwhile");
                self.syslog.send(Level::Error, &failure);
                self.syslog.send(level, line);
            }
            file::Appended::StillFailing => self.syslog.send(level, line),
        }
        self.lead_there();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The local time, whatever the clock shows: chrono's own reading of the clock panics before 1970.
pub(super) fn local_time() -> DateTime<Local> {
    let (seconds, nanos) = clock::unix();
    DateTime::from_timestamp(seconds.clamp(YEARS.0, YEARS.1), nanos).unwrap_or_default().with_timezone(&Local)
}

/// A line as ntpd writes it to files: local time, name, process.
fn stamped(ident: &str, line: &str) -> String {
    let now = local_time().format("%e %b %H:%M:%S");
    format!("{now} {ident}[{}]: {line}", std::process::id())
}

/// Sends one line to syslog, from a command line that leads to no daemon and so to no log.
pub fn to_syslog(ident: &str, line: &str) {
    Syslog::standard(ident).send(Level::Error, &printable(line));
}

/// Whether standard error is the stream that systemd's journal gave us, by the environment:
/// `JOURNAL_STREAM=DEVICE:INODE`.
fn stderr_is_journal() -> bool {
    let given = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let ours = std::fs::metadata("/proc/self/fd/2").map(|found| format!("{}:{}", found.dev(), found.ino()));
    ours.is_ok_and(|ours| ours == given)
}

/// The text without anything that could pretend to be another line or confuse a terminal, and cut at
/// [`LINE_MAX`] bytes.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end_matches(['\n', '\r']).chars() {
        if out.len() >= LINE_MAX {
            out.push('…');
            break;
        }
        // Directional marks can make a line read as something else.
        let misleading =
            matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || misleading {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::path::PathBuf;

    /// A syslog daemon of the test's own.
    fn fake_syslog(path: &Path) -> UnixDatagram {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn received(socket: &UnixDatagram) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(size) = socket.recv(&mut buffer) {
            lines.push(String::from_utf8(buffer[..size].to_vec()).unwrap());
        }
        lines
    }

    fn log_to(path: PathBuf) -> Log {
        Log::with_syslog(Syslog::at("rsntpd", vec![path]))
    }

    #[test]
    fn control_characters_cannot_forge_a_line() {
        assert_eq!(printable("a\nb\u{1b}[2J\u{202e}x\n"), "a\\nb\\u{1b}[2J\\u{202e}x");
        assert_eq!(printable("设置"), "设置");
        let long = printable(&"x".repeat(10_000));
        assert!(long.len() < LINE_MAX + 8 && long.ends_with('…'));
    }

    #[test]
    fn syslog_lines_have_priority_ident_and_pid_and_survive_a_restart_of_the_syslog_daemon() {
        let dir = crate::daemon::files::scratch("log-syslog");
        let path = dir.path().join("log");
        let mut log = log_to(path.clone());
        log.write(Level::Error, "no process listens yet");
        let first = fake_syslog(&path);
        log.write(Level::Notice, "time reset");
        let lines = received(&first);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].ends_with("1 log line was lost: syslog did not take it"), "{lines:?}");
        // LOG_DAEMON (3 << 3) and LOG_NOTICE (5).
        assert!(lines[1].starts_with("<29>"), "{lines:?}");
        assert!(lines[1].ends_with(&format!(" rsntpd[{}]: time reset", std::process::id())), "{lines:?}");
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = fake_syslog(&path);
        log.write(Level::Info, "after the restart");
        let lines = received(&second);
        assert!(lines.len() == 1 && lines[0].starts_with("<30>"), "{lines:?}");
    }

    #[test]
    fn a_syslog_daemon_that_does_not_read_does_not_stop_us() {
        let dir = crate::daemon::files::scratch("log-stuck");
        let path = dir.path().join("log");
        let socket = fake_syslog(&path);
        let mut log = log_to(path);
        let start = Instant::now();
        for n in 0..900 {
            log.write(Level::Info, &format!("line {n} {}", "x".repeat(1500)));
        }
        assert!(start.elapsed().as_secs() < 3, "{:?}", start.elapsed());
        assert!(!received(&socket).is_empty());
    }

    #[test]
    fn a_log_file_has_the_form_of_ntpds() {
        let dir = crate::daemon::files::scratch("log-file");
        let path = dir.path().join("ntp.log");
        let mut log = log_to(dir.path().join("nosyslog"));
        std::fs::write(&path, "before\n").unwrap();
        assert!(log.use_file(&path));
        log.write(Level::Info, "one");
        log.write(Level::Debug, "not with -d");
        log.write(Level::Info, "one");
        log.write(Level::Info, "one");
        log.write(Level::Error, "two");
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(lines[0], "before");
        let tail = format!(" rsntpd[{}]: one", std::process::id());
        assert!(lines[1].ends_with(&tail), "{text}");
        // `24 Nov 12:00:00`
        assert_eq!(lines[1].len(), "24 Nov 12:00:00".len() + tail.len(), "{text}");
        assert!(lines[2].ends_with("last message repeated 2 times"));
        assert!(lines[3].ends_with(": two"));
    }

    #[test]
    fn a_rotated_log_file_is_opened_anew() {
        let dir = crate::daemon::files::scratch("log-rotate");
        let path = dir.path().join("ntp.log");
        let mut log = log_to(dir.path().join("nosyslog"));
        assert!(log.use_file(&path));
        log.write(Level::Info, "old");
        std::fs::rename(&path, dir.path().join("ntp.log.1")).unwrap();
        assert_eq!(log.reopen(), None);
        log.write(Level::Info, "new");
        assert!(std::fs::read_to_string(&path).unwrap().ends_with(": new\n"));
    }

    #[test]
    fn d4_a_log_file_that_cannot_be_opened_anew_is_told_in_the_old_one_and_in_syslog() {
        let dir = crate::daemon::files::scratch("d4-reopen");
        let socket = fake_syslog(&dir.path().join("syslog"));
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        let path = dir.path().join("sub/ntp.log");
        let mut log = log_to(dir.path().join("syslog"));
        assert!(log.use_file(&path));
        std::fs::rename(dir.path().join("sub"), dir.path().join("gone")).unwrap();
        assert!(log.reopen().is_some_and(|why| why.ends_with("the old file stays in use")));
        log.write(Level::Info, "on");
        let written = std::fs::read_to_string(dir.path().join("gone/ntp.log")).unwrap();
        assert!(written.contains("cannot open log file") && written.ends_with(": on\n"), "{written}");
        assert!(received(&socket)[0].contains("No such file or directory; the old file"));
    }

    #[test]
    fn d10_a_line_of_a_daemon_in_the_foreground_comes_once_where_there_is_a_log_file() {
        let dir = crate::daemon::files::scratch("d10");
        let mut log = log_to(dir.path().join("nosyslog"));
        log.stderr = true;
        assert!(log.is_seen());
        assert!(log.use_file(&dir.path().join("ntp.log")));
        assert!(!log.stderr && !log.is_seen());
    }

    #[test]
    fn d2_lines_carry_the_name_that_the_daemon_was_started_by() {
        let dir = crate::daemon::files::scratch("d2-ident");
        let mut log = log_to(dir.path().join("nosyslog"));
        log.ident = "ntpd".to_owned();
        assert!(log.use_file(&dir.path().join("ntp.log")));
        log.write(Level::Info, "x");
        let written = std::fs::read_to_string(dir.path().join("ntp.log")).unwrap();
        assert!(written.ends_with(&format!(" ntpd[{}]: x\n", std::process::id())), "{written}");
    }

    #[test]
    fn a_failing_log_file_is_told_once_and_syslog_takes_over() {
        let dir = crate::daemon::files::scratch("log-full");
        let path = dir.path().join("log");
        let socket = fake_syslog(&path);
        let mut log = log_to(path);
        assert!(!log.use_file(&dir.path().join("no/such/dir")));
        // Every write to this device fails with ENOSPC.
        assert!(log.use_file(Path::new("/dev/full")));
        log.write(Level::Info, "one");
        log.write(Level::Info, "two");
        let lines = received(&socket);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].contains("Cannot open log file"), "{lines:?}");
        assert!(lines[1].contains("cannot write the log file /dev/full: No space left"), "{lines:?}");
        assert!(lines[2].ends_with(": one") && lines[3].ends_with(": two"), "{lines:?}");
    }
}
