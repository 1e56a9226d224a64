//! Signals as something an event loop can wait for: a pipe that becomes readable.

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Signals that end the daemon (ntpd ends on SIGQUIT, too).
const ENDING: [i32; 3] = [SIGTERM, SIGINT, SIGQUIT];
/// Signals that changed ntpd's debug level; without a handler they would kill.
const WITHOUT_EFFECT: [i32; 2] = [SIGUSR1, SIGUSR2];

/// A file that may not grow any more (RLIMIT_FSIZE) is an error of whoever writes it, and does not end the process.
///
/// # Errors
/// When no handler can be installed.
pub fn survive_file_size_limit() -> io::Result<()> {
    flag::register(libc::SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// What the signals since the last look ask for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Requests {
    /// SIGTERM, SIGINT or SIGQUIT came: its number.
    pub terminate: Option<usize>,
    /// SIGHUP came.
    pub reload: bool,
    /// SIGCHLD came: a process of ours has ended.
    pub child: bool,
}

/// The handlers, installed for the life of the process. All write to one descriptor: with few left, each counts.
#[derive(Debug)]
pub struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
}

/// Signals belong to the loop's thread, and not to the one that calls this; but for the one by which the kernel stops a system
/// call of this thread.
pub fn leave_to_the_loop() {
    let mut blocked = SigSet::all();
    blocked.remove(Signal::SIGSYS);
    // If they cannot be blocked the handler still only sets a flag.
    let _as_before = blocked.thread_block();
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// When no pipe can be made or a handler cannot be installed.
    pub fn install() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        // One that came between its two handlers would set the flag, and nothing would look at it.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let installed = Self::with(reader, writer);
        before.thread_set_mask()?;
        installed
    }

    fn with(reader: UnixStream, writer: UnixStream) -> io::Result<Self> {
        for signal in WITHOUT_EFFECT {
            flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
        let watched = ENDING.into_iter().chain([SIGHUP, SIGCHLD]);
        Ok(Self { delivery: SignalDelivery::with_pipe(reader, writer, SignalOnly, watched)? })
    }

    /// The descriptor that becomes readable when a signal came.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.delivery.get_read().as_raw_fd()
    }

    /// Empties the pipe and returns which signals arrived since the last call.
    pub fn take(&mut self) -> Requests {
        let mut requests = Requests::default();
        for signal in self.delivery.pending() {
            match signal {
                SIGHUP => requests.reload = true,
                SIGCHLD => requests.child = true,
                ending => requests.terminate = Some(ending.unsigned_abs() as usize),
            }
        }
        requests
    }
}

/// While it lives, SIGINT sets a flag; afterwards it ends the process again, with status 130.
#[derive(Debug)]
pub struct Interrupt {
    came: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
}

impl Interrupt {
    /// Installs the handler.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn watch() -> io::Result<Self> {
        let (came, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&ends))?;
        flag::register(SIGINT, Arc::clone(&came))?;
        Ok(Self { came, ends })
    }

    /// Whether SIGINT came.
    #[must_use]
    pub fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal, raise};

    #[test]
    fn a_hangup_asks_for_a_reload_once() {
        let mut signals = Signals::install().unwrap();
        raise(Signal::SIGUSR1).unwrap();
        raise(Signal::SIGHUP).unwrap();
        assert_eq!(signals.take(), Requests { reload: true, ..Requests::default() });
        assert_eq!(signals.take(), Requests::default());
        raise(Signal::SIGTERM).unwrap();
        raise(Signal::SIGCHLD).unwrap();
        assert_eq!(signals.take(), Requests { terminate: Some(15), child: true, reload: false });
    }
}
