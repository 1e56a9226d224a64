//! syslog that comes back: the crate connects once, this reconnects, and never waits long.

use crate::engine::report::event::Level;
use nix::errno::Errno;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use syslog::{Error, Facility, LogFormat, Logger, LoggerBackend, Severity};

/// How long a full syslog socket may hold us up, once.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long a syslog daemon that does not read is left alone.
const REST: Duration = Duration::from_secs(10);

/// The connection to syslog, or the wish for one.
pub(super) struct Syslog {
    ident: String,
    paths: Vec<PathBuf>,
    logger: Option<Logger<LoggerBackend, Line>>,
    resting_until: Option<Instant>,
    lost: u32,
}

impl fmt::Debug for Syslog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Syslog")
            .field("paths", &self.paths)
            .field("connected", &self.logger.is_some())
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl Syslog {
    /// The system's, at `/dev/log` or where other systems have it. Connects now if it can, so that a later
    /// chroot does no harm. `ident` is the name in front of every line.
    pub(super) fn standard(ident: &str) -> Self {
        Self::at(ident, ["/dev/log", "/var/run/syslog", "/var/run/log"].map(PathBuf::from).to_vec())
    }

    /// The first that answers of these sockets.
    pub(super) fn at(ident: &str, paths: Vec<PathBuf>) -> Self {
        let logger = connect(ident, &paths);
        Self { ident: ident.to_owned(), paths, logger, resting_until: None, lost: 0 }
    }

    /// Whether there is a syslog daemon.
    pub(super) const fn is_connected(&self) -> bool {
        self.logger.is_some()
    }

    /// The descriptor of the connection.
    pub(super) fn raw_fd(&self) -> Option<RawFd> {
        match &self.logger.as_ref()?.backend {
            LoggerBackend::Unix(socket) => Some(socket.as_raw_fd()),
            LoggerBackend::UnixStream(stream) => Some(stream.get_ref().as_raw_fd()),
            LoggerBackend::Udp(..) | LoggerBackend::Tcp(_) => None,
        }
    }

    /// Sends a line; if that fails, connects anew and tries once more. What cannot be sent is
    /// counted, and the count is logged as soon as a line gets through.
    pub(super) fn send(&mut self, level: Level, line: &str) {
        if self.resting_until.is_some_and(|until| Instant::now() < until) {
            self.lost += 1;
            return;
        }
        self.resting_until = None;
        if self.lost > 0 {
            let lost = match self.lost {
                1 => "1 log line was lost: syslog did not take it".to_owned(),
                n => format!("{n} log lines were lost: syslog did not take them"),
            };
            if self.try_twice(Level::Warning, &lost) {
                self.lost = 0;
            }
        }
        if self.resting_until.is_some() || !self.try_twice(level, line) {
            self.lost += 1;
        }
    }

    fn try_twice(&mut self, level: Level, line: &str) -> bool {
        for _ in 0..2 {
            if self.logger.is_none() {
                self.logger = connect(&self.ident, &self.paths);
            }
            let Some(logger) = &mut self.logger else { return false };
            match hand_over(logger, level, line) {
                Ok(()) => return true,
                // A process listens but does not read: a new connection would not help.
                Err(why) if would_block(&why) => {
                    self.resting_until = Some(Instant::now() + REST);
                    return false;
                }
                Err(_) => self.logger = None,
            }
        }
        false
    }
}

/// RFC 3164 without a host name, as the C library sends it. The crate's own form stamps UTC, and
/// syslog daemons that trust the stamp expect local time.
#[derive(Clone, Debug)]
struct Line {
    ident: String,
}

impl<T: Display> LogFormat<T> for Line {
    fn format<W: Write>(&self, w: &mut W, severity: Severity, message: T) -> syslog::Result<()> {
        let priority = Facility::LOG_DAEMON as u8 | severity as u8;
        let now = super::local_time().format("%b %e %H:%M:%S");
        let (ident, pid) = (&self.ident, std::process::id());
        write!(w, "<{priority}>{now} {ident}[{pid}]: {message}").map_err(Error::Write)
    }
}

fn hand_over(logger: &mut Logger<LoggerBackend, Line>, level: Level, line: &str) -> syslog::Result<()> {
    match level {
        Level::Error => logger.err(line),
        Level::Warning => logger.warning(line),
        Level::Notice => logger.notice(line),
        Level::Info => logger.info(line),
        Level::Debug => logger.debug(line),
    }
}

fn connect(ident: &str, paths: &[PathBuf]) -> Option<Logger<LoggerBackend, Line>> {
    let line = Line { ident: ident.to_owned() };
    let logger = paths.iter().find_map(|path| syslog::unix_custom(line.clone(), path).ok())?;
    let bounded = match &logger.backend {
        LoggerBackend::Unix(socket) => socket.set_write_timeout(Some(PATIENCE)),
        LoggerBackend::UnixStream(stream) => stream.get_ref().set_write_timeout(Some(PATIENCE)),
        LoggerBackend::Udp(..) | LoggerBackend::Tcp(_) => Ok(()),
    };
    // A socket that could hold up the clock is worse than none.
    bounded.ok().map(|()| logger)
}

fn would_block(error: &Error) -> bool {
    let (Error::Write(why) | Error::Io(why)) = error else { return false };
    why.kind() == io::ErrorKind::WouldBlock || why.raw_os_error() == Some(Errno::ENOBUFS as i32)
}
