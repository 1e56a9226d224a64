//! Why a device cannot be opened, in ntpd's words where it has any.

use super::shm::Doubt;
use crate::sys::device::errno_of;
use crate::sys::pps::PpsError;
use crate::sys::privileges;
use crate::sys::ptp::PtpError;
use crate::sys::shm::ShmError;
use crate::sys::tty::TtyError;
use crate::units::Driver;
use nix::errno::Errno;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a device cannot be opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum OpenError {
    /// This file cannot be opened.
    Device(PathBuf, Errno),
    /// This file cannot be opened as a serial line.
    Line(PathBuf, TtyError),
    /// This file is no character device.
    NoCharacterDevice(PathBuf),
    /// No connection to this address can be made.
    Connection(SocketAddr, Errno),
    /// The link in place of this device names a host.
    HostName(PathBuf, String),
    /// The segment of this unit cannot be attached.
    Segment(u8, ShmError),
    /// The segment of this unit is too short.
    ShortSegment(u8),
    /// Other users may write the segment.
    Doubted(Doubt),
    /// Its line names no device, and its driver knows none.
    NoPath,
    /// The socket at this path cannot be had.
    Socket(PathBuf, Errno),
    /// At this path there is something else than a socket.
    NoSocket(PathBuf),
    /// Any user may replace files in this folder.
    OpenFolder(PathBuf),
    /// This device gives no pulses.
    Pulses(PathBuf, PpsError),
    /// This serial line gives no pulses.
    LinePulses(PathBuf, Errno),
    /// This device is no hardware clock that can be read.
    Ptp(PathBuf, PtpError),
    /// No hardware clock has this name.
    NoClockOf(PathBuf),
    /// It cannot be made part of the event loop.
    Watch(Errno),
    /// This driver has no device.
    NoDriver(Driver),
}

impl OpenError {
    pub(super) fn device(path: PathBuf, why: &io::Error) -> Self {
        Self::Device(path, errno_of(why))
    }

    pub(super) fn connect(address: SocketAddr, why: &io::Error) -> Self {
        Self::Connection(address, errno_of(why))
    }

    const fn errno(&self) -> Option<Errno> {
        match self {
            Self::Device(_, why) | Self::Socket(_, why) | Self::Watch(why) => Some(*why),
            Self::Segment(_, ShmError { why, .. }) => Some(*why),
            Self::Pulses(_, PpsError::Open(why) | PpsError::Set(_, why)) => Some(*why),
            Self::Ptp(_, PtpError::Open(why)) => Some(*why),
            Self::Line(_, TtyError::Os(why)) => Some(*why),
            _ => None,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path, why) => write!(f, "refclock_open {}: {}", path.display(), why.desc())?,
            Self::Line(path, why) => write!(f, "refclock_open {}: {why}", path.display())?,
            Self::NoCharacterDevice(path) => {
                write!(f, "refclock_open {}: not a character device", path.display())?;
            }
            Self::Connection(address, why) => write!(f, "connect to {address}: {}", why.desc())?,
            Self::HostName(path, host) => {
                write!(f, "{} leads to \"{host}\": a numeric address is needed", path.display())?;
            }
            Self::Segment(unit, ShmError { call, why }) => {
                write!(f, "SHM {call} (unit {unit}): {}", why.desc())?;
            }
            // ntpd asks for the length that it needs, which the kernel refuses.
            Self::ShortSegment(unit) => {
                write!(f, "SHM shmget (unit {unit}): {}: the segment is too short", Errno::EINVAL.desc())?;
            }
            Self::Doubted(doubt) => write!(f, "{doubt}: not used")?,
            Self::NoPath => f.write_str("SOCK: the clock needs `path', where its socket is to be")?,
            Self::Socket(path, why) => write!(f, "SOCK {}: {}", path.display(), why.desc())?,
            Self::NoSocket(path) => {
                write!(f, "SOCK {}: there is a file that is no socket, it is left alone", path.display())?;
            }
            Self::OpenFolder(path) => {
                write!(f, "SOCK: any user may replace files in {}, choose another folder", path.display())?;
            }
            Self::Pulses(path, why) => write!(f, "refclock_atom: {}: {why}", path.display())?,
            Self::LinePulses(path, why) => {
                write!(f, "refclock_atom: {}: no pulses from this line: {}", path.display(), why.desc())?;
            }
            Self::Ptp(path, why) => write!(f, "refclock_open {}: {why}", path.display())?,
            Self::NoClockOf(name) => {
                let what = "no network interface with a PTP clock, and no PTP clock, has this name";
                write!(f, "PHC {}: {what}", name.display())?;
            }
            Self::Watch(why) => write!(f, "the device cannot be watched: {}", why.desc())?,
            Self::NoDriver(driver) => write!(f, "{} has no device", driver.name())?,
        }
        let uid = privileges::effective_uid();
        if matches!(self.errno(), Some(Errno::EACCES | Errno::EPERM)) && uid != 0 {
            write!(
                f,
                " (the daemon has given up root: let user {uid} use the device, or restart the daemon)"
            )?;
        }
        Ok(())
    }
}
