//! Why the daemon does not start, and the exit status that ntpd gives for it.

use crate::daemon::workers::MainEnded;
use crate::sys::privileges::{AccountError, DropError};
use crate::sys::process::STACK;
use crate::units::NTP_PORT;
use std::fmt;
use std::io;
use std::path::Path;

/// Exit status of ntpd's exit(-1).
pub(super) const FAILED: u8 = 255;

/// What went wrong. Its text is what is logged.
#[derive(Debug)]
pub(super) enum Failure {
    NotRoot {
        uid: u32,
    },
    /// `-u` names no account.
    Account(AccountError),
    /// Port 123 cannot be had.
    Port(io::Error),
    /// The limit of the stack, bytes, that may not be raised.
    Stack {
        limit: u64,
    },
    Pipe(io::Error),
    Fork(io::Error),
    Workers(io::Error),
    /// Root could not be given up.
    Privileges(DropError),
    /// A worker has no main process any more.
    Worker(MainEnded),
    EventLoop(io::Error),
    /// It served, and then no longer.
    Stopped(io::Error),
    /// What the child reported to its parent.
    Child(String),
    ChildDied,
}

impl Failure {
    pub(super) const fn exit_status(&self) -> u8 {
        match self {
            Self::NotRoot { .. } | Self::Port(_) | Self::Child(_) | Self::ChildDied => 1,
            Self::Account(_)
            | Self::Stack { .. }
            | Self::Pipe(_)
            | Self::Fork(_)
            | Self::Workers(_)
            | Self::Privileges(_)
            | Self::Worker(_)
            | Self::EventLoop(_)
            | Self::Stopped(_) => FAILED,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot { uid } => write!(f, "must be run as root, not uid {uid}"),
            Self::Account(why) => write!(f, "{why}"),
            Self::Stack { limit } => {
                let (limit, needed) = (limit >> 10, STACK >> 10);
                write!(f, "the stack is limited to {limit} kB, expected {needed} kB at least (ulimit -s)")
            }
            Self::Privileges(why) => write!(f, "{why}"),
            Self::Worker(why) => write!(f, "{why}"),
            Self::Child(why) => f.write_str(why),
            Self::Port(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let remedy = if Path::new("/run/systemd/system").is_dir() {
                    "systemctl disable --now chronyd"
                } else {
                    "service ntpd stop; chkconfig ntpd off"
                };
                write!(
                    f,
                    "UDP port {NTP_PORT} is in use: another time daemon is running. `ss -lunp' shows which; stop it first, \
                     for example by `{remedy}'"
                )
            }
            Self::Port(error) => write!(f, "cannot bind UDP port {NTP_PORT}: {error}"),
            Self::Pipe(error) => write!(f, "cannot make a pipe: {error}"),
            Self::Fork(error) => write!(f, "cannot become a daemon: {error}"),
            Self::Workers(error) => write!(f, "cannot make workers: {error}"),
            Self::EventLoop(error) => write!(f, "cannot start the event loop: {error}"),
            Self::Stopped(error) => write!(f, "the event loop failed: {error}"),
            Self::ChildDied => f.write_str("the daemon died while starting; the log says why"),
        }
    }
}
