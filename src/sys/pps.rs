//! Pulses that the kernel stamps (RFC 2783, Linux 2.6.34): devices `/dev/ppsN`.
//!
//! A device is asked for its last pulse, and never waited for: epoll reports it ready at any time, pulse or not.

use super::device::Device;
use crate::units::UnixTime;
use nix::errno::Errno;
use nix::libc::{self, c_int};
use std::fmt;
use std::fs;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

/// Where the kernel lists the devices.
const DEVICES: &str = "/sys/class/pps";
/// The line discipline that makes pulses of the carrier detect line of a serial line.
const N_PPS: c_int = 18;

const CAPTURE_ASSERT: c_int = 0x01;
const CAPTURE_CLEAR: c_int = 0x02;

/// A time of the kernel's interface.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct KernelTime {
    seconds: i64,
    nanos: i32,
    flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Params {
    version: c_int,
    mode: c_int,
    assert_offset: KernelTime,
    clear_offset: KernelTime,
}

/// What is fetched: both edges, and how long to wait for one.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Fetch {
    info: Info,
    timeout: KernelTime,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Info {
    assert_sequence: u32,
    clear_sequence: u32,
    assert: KernelTime,
    clear: KernelTime,
    mode: c_int,
}

// The numbers hold the size of a pointer, whatever they point to.
pub(super) const GETPARAMS: libc::Ioctl = libc::_IOR::<*mut Params>(b'p' as u32, 0xa1);
pub(super) const SETPARAMS: libc::Ioctl = libc::_IOW::<*mut Params>(b'p' as u32, 0xa2);
pub(super) const GETCAP: libc::Ioctl = libc::_IOR::<*mut c_int>(b'p' as u32, 0xa3);
pub(super) const FETCH: libc::Ioctl = libc::_IOWR::<*mut Fetch>(b'p' as u32, 0xa4);

/// Which edge of a pulse begins the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    /// The first.
    Assert,
    /// The second.
    Clear,
}

impl Edge {
    const fn bit(self) -> c_int {
        match self {
            Self::Assert => CAPTURE_ASSERT,
            Self::Clear => CAPTURE_CLEAR,
        }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assert => "assert",
            Self::Clear => "clear",
        })
    }
}

/// Why a device gives no pulses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PpsError {
    /// It cannot be opened.
    Open(Errno),
    /// It is no such device.
    NoPps(Errno),
    /// It does not see this edge.
    NoEdge(Edge),
    /// It cannot be made to report this edge.
    Set(Edge, Errno),
}

impl fmt::Display for PpsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(why) => f.write_str(why.desc()),
            Self::NoPps(why) => write!(f, "it is no PPS device: {}", why.desc()),
            Self::NoEdge(edge) => write!(f, "it does not capture the {edge} edge"),
            Self::Set(edge, why) => write!(f, "cannot capture the {edge} edge: {}", why.desc()),
        }
    }
}

/// The last pulse of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pulse {
    /// Counts pulses, from 1; it wraps.
    pub sequence: u32,
    /// When it came, by the wall clock.
    pub at: UnixTime,
}

/// An open device.
#[derive(Debug)]
pub struct PpsDevice {
    device: Device,
    edge: Edge,
}

impl PpsDevice {
    /// Opens a device and sees to it that it reports this edge, which only CAP_SYS_TIME may change.
    ///
    /// # Errors
    /// [`PpsError`].
    pub fn open(path: &Path, edge: Edge) -> Result<Self, PpsError> {
        let this = Self { device: Device::open(path).map_err(PpsError::Open)?, edge };
        let mut params = Params::default();
        this.call(GETPARAMS, &mut params).map_err(PpsError::NoPps)?;
        if params.mode & edge.bit() == 0 {
            let mut can: c_int = 0;
            this.call(GETCAP, &mut can).map_err(PpsError::NoPps)?;
            if can & edge.bit() == 0 {
                return Err(PpsError::NoEdge(edge));
            }
            params.mode |= edge.bit();
            this.call(SETPARAMS, &mut params).map_err(|why| PpsError::Set(edge, why))?;
        }
        Ok(this)
    }

    /// The last pulse; `None` before the first one.
    ///
    /// # Errors
    /// Of the kernel: the device is gone.
    pub fn last(&self) -> Result<Option<Pulse>, Errno> {
        // No time to wait.
        let mut fetch = Fetch::default();
        match self.call(FETCH, &mut fetch) {
            Ok(()) => {}
            // It waited for no time at all, or was interrupted in that.
            Err(Errno::ETIMEDOUT | Errno::EINTR | Errno::EAGAIN) => return Ok(None),
            Err(why) => return Err(why),
        }
        let (sequence, at) = match self.edge {
            Edge::Assert => (fetch.info.assert_sequence, fetch.info.assert),
            Edge::Clear => (fetch.info.clear_sequence, fetch.info.clear),
        };
        let at = u32::try_from(at.nanos).ok().and_then(|nanos| UnixTime::new(at.seconds, nanos));
        Ok(at.filter(|_| sequence != 0).map(|at| Pulse { sequence, at }))
    }

    fn call<T>(&self, request: libc::Ioctl, argument: &mut T) -> Result<(), Errno> {
        // SAFETY: each request stands beside its structure, above; they hold numbers, for which any bits are valid.
        unsafe { self.device.call(request, argument) }
    }
}

/// Has the kernel make pulses of a serial line's carrier detect for as long as the line is open. Its data are read as before.
///
/// # Errors
/// Of the kernel, which may have no such line discipline.
pub fn pulses_of_line(line: BorrowedFd<'_>) -> Result<(), Errno> {
    let discipline = N_PPS;
    // SAFETY: the kernel reads an integer.
    Errno::result(unsafe { libc::ioctl(line.as_raw_fd(), libc::TIOCSETD, &raw const discipline) })?;
    Ok(())
}

/// The device that stamps the pulses of a serial line.
#[must_use]
pub fn device_of_line(line: &Path) -> Option<PathBuf> {
    let line = line.canonicalize().ok()?;
    let entries = fs::read_dir(DEVICES).ok()?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let of_line = |name: &std::ffi::OsString| {
        let path = fs::read_to_string(Path::new(DEVICES).join(name).join("path")).unwrap_or_default();
        Path::new(path.trim_end()) == line
    };
    names.into_iter().find(of_line).map(|name| Path::new("/dev").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_and_numbers_are_the_kernels() {
        assert_eq!(size_of::<Params>(), 40);
        // C libraries differ in the type of a request.
        let numbers = [GETPARAMS, SETPARAMS, GETCAP, FETCH].map(|number| number as u32);
        if size_of::<usize>() == 8 {
            assert_eq!(numbers, [0x8008_70a1, 0x4008_70a2, 0x8008_70a3, 0xc008_70a4]);
        } else {
            assert_eq!(numbers, [0x8004_70a1, 0x4004_70a2, 0x8004_70a3, 0xc004_70a4]);
        }
        // Where integers of 64 bits are aligned to 4 bytes there is no padding.
        let padding = if align_of::<i64>() == 8 { 4 } else { 0 };
        assert_eq!((std::mem::offset_of!(Fetch, timeout), size_of::<Fetch>()), (44 + padding, 60 + padding));
    }

    #[test]
    fn what_is_no_device_is_refused() {
        let open = |path: &str| PpsDevice::open(Path::new(path), Edge::Assert).unwrap_err().to_string();
        assert_eq!(open("/dev/no-such-device"), "No such file or directory");
        assert!(open("/dev/null").starts_with("it is no PPS device: "));
        assert_eq!(device_of_line(Path::new("/dev/null")), None);
    }
}
