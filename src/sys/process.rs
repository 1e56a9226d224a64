//! A process of its own, where the crate for it cannot work.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};
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
    if let ForkResult::Parent { .. } = unsafe { fork() }? {
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
