//! Our own processes: put into the background, forked, bound to a processor, ended, and identified when they
//! exit.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork as fork_process, getppid, setsid,
};
use std::ffi::CString;
use std::io;

/// Which of the two processes this is, after a fork.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The one that was started.
    Parent,
    /// The new one, without a terminal.
    Child,
}

/// Forks into the background without /dev/null: the root directory, open for reading, takes the
/// place of the standard streams, so that nothing else gets their numbers and what is written to
/// them is lost. Call it before any other thread runs.
///
/// # Errors
/// What the kernel says.
#[allow(unsafe_code)]
pub fn detach() -> io::Result<Side> {
    // SAFETY: there is one thread, so nothing another one holds can be missing in the child.
    if let ForkResult::Parent { .. } = unsafe { fork_process() }? {
        return Ok(Side::Parent);
    }
    setsid()?;
    chdir("/")?;
    let nothing = open("/", OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    dup2_stderr(&nothing)?;
    Ok(Side::Child)
}

/// Gives this process the name that `ps`, `pidof` and `/proc/PID/comm` show: 15 bytes of it.
///
/// # Errors
/// A name with a zero byte; of prctl.
pub fn set_name(name: &str) -> io::Result<()> {
    Ok(prctl::set_name(&CString::new(name)?)?)
}

/// Sends a process SIGHUP.
///
/// # Errors
/// `ESRCH` where there is no such process, `EPERM` where it is another user's.
pub fn hang_up(pid: i32) -> io::Result<()> {
    Ok(kill(Pid::from_raw(pid), Signal::SIGHUP)?)
}

/// The stack that the daemon needs, with room, bytes.
pub const STACK: u64 = 512 << 10;

/// Makes sure of [`STACK`]: raises a limit (RLIMIT_STACK) that is less. The kernel lets the stack grow up to the
/// limit that is in force at that moment.
///
/// # Errors
/// The limit, bytes, that may not be raised so far.
pub fn ensure_stack() -> Result<(), u64> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_STACK) else { return Ok(()) };
    let raised = || hard >= STACK && setrlimit(Resource::RLIMIT_STACK, STACK, hard).is_ok();
    if soft >= STACK || raised() { Ok(()) } else { Err(soft) }
}

/// Files that this process makes may be read by every user, and changed by this one only.
pub fn make_readable_files() {
    umask(Mode::from_bits_truncate(0o022));
}

/// What `make` makes only this user may use.
pub fn privately<T>(make: impl FnOnce() -> T) -> T {
    let before = umask(Mode::from_bits_truncate(0o177));
    let made = make();
    umask(before);
    made
}

/// A process that we made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Child(Pid);

/// Which of the two processes goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forked {
    /// The one that was there, and its child.
    Parent(Child),
    /// The new one.
    Child,
}

/// Makes a process that is a copy of this one, which must have a single thread.
///
/// # Errors
/// `Other` where there are more threads or /proc does not show how many; of fork.
#[allow(unsafe_code)]
pub fn fork() -> io::Result<Forked> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with several threads is not copied"));
    }
    // SAFETY: there is no other thread, whose locks and memory the copy would find in any state.
    match unsafe { fork_process()? } {
        ForkResult::Parent { child } => Ok(Forked::Parent(Child(child))),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// This process is to get SIGTERM when the parent with this id ends. Call it after the last change of
/// user: that forgets it.
///
/// # Errors
/// `NotFound` where the parent has ended already; of prctl.
pub fn end_with_parent(parent: u32) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    if getppid().as_raw().unsigned_abs() == parent {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}

/// Keeps this process on one of the processors that it may use: the n-th, counted round.
///
/// # Errors
/// Of the two system calls.
pub fn stay_on_processor(n: usize) -> io::Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let all: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true)).collect();
    if let Some(cpu) = all.get(n % all.len().max(1)) {
        let mut one = CpuSet::new();
        one.set(*cpu)?;
        sched_setaffinity(this, &one)?;
    }
    Ok(())
}

impl Child {
    /// Its process id.
    #[must_use]
    pub const fn id(self) -> i32 {
        self.0.as_raw()
    }

    /// Sends it SIGTERM.
    pub fn terminate(self) {
        let _gone_already = kill(self.0, Signal::SIGTERM);
    }

    /// Sends it SIGHUP.
    pub fn hang_up(self) {
        let _gone_already = kill(self.0, Signal::SIGHUP);
    }

    /// How it exited, as text, if it has. Returned once.
    pub fn ended(self) -> Option<String> {
        self.wait_with(WaitPidFlag::WNOHANG)
    }

    /// Waits until it has ended.
    pub fn wait(self) {
        let _how = self.wait_with(WaitPidFlag::empty());
    }

    fn wait_with(self, flags: WaitPidFlag) -> Option<String> {
        loop {
            return match waitpid(self.0, Some(flags)) {
                Ok(WaitStatus::Exited(_, status)) => Some(format!("exited with status {status}")),
                Ok(WaitStatus::Signaled(_, signal, _)) => Some(format!("was ended by {signal}")),
                Err(Errno::EINTR) => continue,
                Err(why) => Some(format!("is gone: {why}")),
                Ok(_) => None,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_threads_are_not_copied() {
        // The test runner is one thread, this test another.
        let other = std::thread::spawn(|| fork().map(drop).map_err(|e| e.kind()));
        assert_eq!(other.join().unwrap(), Err(io::ErrorKind::Other));
    }

    #[test]
    fn a_thread_stays_where_it_is_put() {
        std::thread::spawn(|| {
            stay_on_processor(1).unwrap();
            let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
            assert_eq!((0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true)).count(), 1);
        })
        .join()
        .unwrap();
        assert_eq!(end_with_parent(0).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
