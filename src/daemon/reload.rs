//! `rsntpd --reload`: the running daemon reloads its configuration and reports the result.
//!
//! The daemon listens at a UNIX socket beside its pid file, made as root and for root alone. A connection is the
//! request; the reply is `ok` or `failed`, and lines to print. No signal is needed, which a
//! service without CAP_KILL may not send to a process of another user.

use super::files;
use crate::engine::report::event::Level;
use crate::sys::process;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Exit status where no daemon runs, as init scripts have it.
const NOT_RUNNING: u8 = 7;
/// Exit status where only root may ask.
const NOT_ROOT: u8 = 4;
/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest answer, bytes; lines that do not fit are left out.
const ANSWER_MAX: usize = 16 << 10;

/// How a reload went.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// What of the configuration could not be read or put in force.
    pub failures: Vec<String>,
    /// What else was logged as a warning or an error.
    pub warnings: Vec<String>,
}

impl Outcome {
    /// Adds what was logged.
    pub fn note(&mut self, lines: &[(Level, String)]) {
        let worth = lines.iter().filter(|(level, _)| *level <= Level::Warning);
        self.warnings.extend(worth.map(|(_, line)| line.clone()));
    }

    /// The reply.
    fn text(&self) -> String {
        let mut text = String::from(if self.failures.is_empty() { "ok\n" } else { "failed\n" });
        let warnings = self.warnings.iter().filter(|line| !self.failures.contains(line));
        for line in self.failures.iter().chain(warnings) {
            if text.len() + line.len() < ANSWER_MAX {
                text.extend([super::log::printable(line).as_str(), "\n"]);
            }
        }
        text
    }
}

/// Where the daemon with this pid file listens.
#[must_use]
pub fn beside(pidfile: &Path) -> PathBuf {
    let mut name = OsString::from(pidfile);
    name.push(".reload");
    name.into()
}

/// Why the daemon does not listen at this path.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    why: io::Error,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), files::words(&self.why))
    }
}

/// The daemon's side.
#[derive(Debug)]
pub struct ReloadSocket {
    listener: UnixListener,
}

impl ReloadSocket {
    /// Listens beside the pid file, where one was written; a socket that an ended daemon has left is replaced.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn open(pidfile: &Path) -> Result<Self, OpenError> {
        let path = beside(pidfile);
        let failed = |why| OpenError { path: path.clone(), why };
        if path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(&path).map_err(failed)?;
        }
        let listener = process::privately(|| UnixListener::bind(&path)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener })
    }

    /// The descriptor that becomes readable when a request waits.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// The requests that wait.
    pub fn askers(&self) -> Vec<UnixStream> {
        std::iter::from_fn(|| self.listener.accept().ok()).map(|(stream, _)| stream).collect()
    }
}

/// Sends the result to every requester.
pub fn answer(askers: Vec<UnixStream>, outcome: &Outcome) {
    for mut asker in askers {
        // It fits into the socket's queue. A requester that does not read must not delay the clock.
        let _gone = asker.set_nonblocking(true).and_then(|()| asker.write_all(outcome.text().as_bytes()));
    }
}

/// Requests a reload from the daemon with this pid file, and prints the reply under `name`. Returns the exit status: 0
/// in force, 1 not or not wholly, 4 not root, 7 no daemon runs.
#[must_use]
pub fn ask(pidfile: &Path, name: &str) -> u8 {
    let asked = UnixStream::connect(beside(pidfile)).and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut reply = String::new();
        stream.take(2 * ANSWER_MAX as u64).read_to_string(&mut reply)?;
        Ok(reply)
    });
    let say = |line: &str| {
        let _no_terminal = writeln!(io::stderr(), "{name}: {line}");
    };
    match asked {
        Ok(reply) => {
            let (first, rest) = reply.split_once('\n').unwrap_or((&reply, ""));
            rest.lines().for_each(say);
            match first {
                "ok" => {
                    let _no_terminal = writeln!(io::stdout(), "{name}: configuration reloaded");
                    0
                }
                "failed" => 1,
                _ => {
                    say("the daemon ended during the reload");
                    1
                }
            }
        }
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
            say("only root can reload the configuration");
            NOT_ROOT
        }
        Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            say("no reply from the daemon");
            1
        }
        Err(_) => by_signal(pidfile, &say),
    }
}

/// A daemon that could not create its socket takes the signal, but cannot report the result.
fn by_signal(pidfile: &Path, say: &dyn Fn(&str)) -> u8 {
    let Some(pid) = running(pidfile) else {
        say(&format!("no daemon is running with the pid file {}", pidfile.display()));
        return NOT_RUNNING;
    };
    match process::hang_up(pid) {
        Ok(()) => {
            say("SIGHUP sent; the result is in the log");
            0
        }
        Err(why) => {
            say(&format!("cannot send the signal to process {pid}: {}", files::words(&why)));
            if why.kind() == io::ErrorKind::PermissionDenied { NOT_ROOT } else { 1 }
        }
    }
}

/// The process of a pid file, if it is a daemon of ours: another may have its number by now.
fn running(pidfile: &Path) -> Option<i32> {
    let text = files::read(pidfile).ok()?;
    let pid = std::str::from_utf8(&text).ok()?.trim().parse::<i32>().ok().filter(|pid| *pid > 0)?;
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    comm.trim_end().ends_with("ntpd").then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d8_the_one_who_asks_hears_how_it_went() {
        let dir = files::scratch("d8");
        let pidfile = dir.path().join("ntpd.pid");
        assert_eq!(ask(&pidfile, "ntpd"), NOT_RUNNING);
        fs::write(&pidfile, std::process::id().to_string()).unwrap();
        assert_eq!(ask(&pidfile, "ntpd"), NOT_RUNNING, "this process is none of ours");
        drop(ReloadSocket::open(&pidfile).unwrap());
        let socket = ReloadSocket::open(&pidfile).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(beside(&pidfile).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let failed = |why: &str| Outcome { failures: vec![why.to_owned()], warnings: Vec::new() };
        for (outcome, status) in [(Outcome::default(), 0), (failed("it cannot be read"), 1)] {
            let asking = std::thread::spawn({
                let pidfile = pidfile.clone();
                move || ask(&pidfile, "ntpd")
            });
            let mut askers = Vec::new();
            while askers.is_empty() {
                askers = socket.askers();
                std::thread::yield_now();
            }
            answer(askers, &outcome);
            assert_eq!(asking.join().unwrap(), status);
        }
        fs::remove_file(beside(&pidfile)).unwrap();
        fs::write(beside(&pidfile), "no socket").unwrap();
        assert!(ReloadSocket::open(&pidfile).unwrap_err().to_string().ends_with("Address already in use"));
    }

    #[test]
    fn d8_the_answer_has_each_line_once_and_is_bounded() {
        let mut outcome = Outcome { failures: vec!["a".to_owned()], warnings: Vec::new() };
        outcome.note(&[(Level::Error, "a".to_owned()), (Level::Warning, "b\n".to_owned())]);
        outcome.note(&[(Level::Info, "c".to_owned())]);
        assert_eq!(outcome.text(), "failed\na\nb\n");
        outcome.warnings = vec!["x".repeat(1000); 100];
        assert!(outcome.text().len() <= ANSWER_MAX);
    }
}
