//! PTP hardware clocks: devices `/dev/ptpN` (Linux 3.0), read beside the wall clock.

use super::device::Device;
use crate::units::{Bracket, UnixTime};
use nix::errno::Errno;
use nix::libc::{self, c_char, c_int};
use std::fmt;
use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Where the kernel lists the devices.
const DEVICES: &str = "/sys/class/ptp";
/// Readings at a time, the most that the kernel takes.
pub const READINGS: usize = 25;
/// `ETHTOOL_GET_TS_INFO` (Linux 3.5).
const GET_TS_INFO: u32 = 0x41;

/// The answer to [`GET_TS_INFO`].
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct TimestampInfo {
    command: u32,
    timestamping: u32,
    clock: i32,
    transmit: u32,
    reserved: [u32; 3],
    receive: u32,
    more: [u32; 3],
}

/// Ways to read a clock, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Method {
    /// The hardware reads both clocks at once (Linux 4.6).
    Precise,
    /// The kernel reads the wall clock next to the device's register (Linux 5.0).
    Extended,
    /// The kernel reads the wall clock before and after it asks the driver.
    Plain,
}

impl Method {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Precise => Some(Self::Extended),
            Self::Extended => Some(Self::Plain),
            Self::Plain => None,
        }
    }
}

/// Why there is no clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PtpError {
    /// It cannot be opened.
    Open(Errno),
    /// It is no such device.
    NoClock(Errno),
}

impl fmt::Display for PtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(why) => f.write_str(why.desc()),
            Self::NoClock(why) => write!(f, "it is no PTP clock: {}", why.desc()),
        }
    }
}

/// An open clock.
#[derive(Debug)]
pub struct PtpClock {
    device: Device,
    method: Method,
}

impl PtpClock {
    /// Opens a clock, which is read by `best` or, where it cannot, by a method after it.
    ///
    /// # Errors
    /// [`PtpError`].
    pub fn open(path: &Path, best: Method) -> Result<Self, PtpError> {
        let this = Self { device: Device::open(path).map_err(PtpError::Open)?, method: best };
        // SAFETY: numbers, for which zero is a value.
        let mut capabilities: libc::ptp_clock_caps = unsafe { std::mem::zeroed() };
        this.call(libc::PTP_CLOCK_GETCAPS, &mut capabilities).map_err(PtpError::NoClock)?;
        Ok(this)
    }

    /// Reads the clock at least once. May block for as long as the device takes.
    ///
    /// # Errors
    /// Of the kernel.
    pub fn read(&mut self) -> Result<Vec<Bracket>, Errno> {
        loop {
            let result = match self.method {
                Method::Precise => self.precise(),
                Method::Extended => self.extended(),
                Method::Plain => self.plain(),
            };
            match (result, self.method.next()) {
                // So answer kernels and drivers that do not have it.
                (Err(Errno::EOPNOTSUPP | Errno::ENOTTY | Errno::EINVAL), Some(next)) => self.method = next,
                (result, _) => return result,
            }
        }
    }

    fn precise(&self) -> Result<Vec<Bracket>, Errno> {
        // SAFETY: numbers, for which zero is a value.
        let mut read: libc::ptp_sys_offset_precise = unsafe { std::mem::zeroed() };
        self.call(libc::PTP_SYS_OFFSET_PRECISE, &mut read)?;
        Ok(bracket(read.sys_realtime, read.device, read.sys_realtime).into_iter().collect())
    }

    fn extended(&self) -> Result<Vec<Bracket>, Errno> {
        // SAFETY: numbers, for which zero is a value.
        let mut read: libc::ptp_sys_offset_extended = unsafe { std::mem::zeroed() };
        read.n_samples = READINGS as u32;
        self.call(libc::PTP_SYS_OFFSET_EXTENDED, &mut read)?;
        Ok(read.ts.into_iter().take(READINGS).filter_map(|[a, b, c]| bracket(a, b, c)).collect())
    }

    fn plain(&self) -> Result<Vec<Bracket>, Errno> {
        // SAFETY: numbers, for which zero is a value.
        let mut read: libc::ptp_sys_offset = unsafe { std::mem::zeroed() };
        read.n_samples = READINGS as u32;
        self.call(libc::PTP_SYS_OFFSET, &mut read)?;
        // System, device, system, device … system.
        let times = &read.ts[..=2 * READINGS];
        Ok(times.windows(3).step_by(2).filter_map(|three| bracket(three[0], three[1], three[2])).collect())
    }

    fn call<T>(&self, request: libc::Ioctl, argument: &mut T) -> Result<(), Errno> {
        // SAFETY: libc names the structure of each request as the request; they hold numbers, for which any bits are valid.
        unsafe { self.device.call(request, argument) }
    }
}

fn bracket(
    before: libc::ptp_clock_time,
    other: libc::ptp_clock_time,
    after: libc::ptp_clock_time,
) -> Option<Bracket> {
    let time = |time: libc::ptp_clock_time| UnixTime::new(time.sec, time.nsec);
    Some(Bracket { before: time(before)?, other: time(other)?, after: time(after)? })
}

/// The device of the clock of a network interface.
#[must_use]
pub fn device_of_interface(name: &str) -> Option<PathBuf> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).or_else(|_| UdpSocket::bind(("::", 0))).ok()?;
    let mut info = TimestampInfo { command: GET_TS_INFO, ..TimestampInfo::default() };
    // SAFETY: numbers and a pointer, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last one stays zero.
    let room = request.ifr_name.len() - 1;
    if name.is_empty() || name.len() > room {
        return None;
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: the kernel reads the name and writes the structure of the command that stands there, which is `info`.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as libc::Ioctl, &raw mut request) };
    let clock: c_int = Errno::result(result).map(|_| info.clock).ok()?;
    (clock >= 0).then(|| PathBuf::from(format!("/dev/ptp{clock}")))
}

/// The device of the clock that its driver calls so.
#[must_use]
pub fn device_of_name(name: &str) -> Option<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(DEVICES).ok()?.flatten().map(|entry| entry.file_name()).collect();
    entries.sort();
    let named = |entry: &std::ffi::OsString| {
        fs::read_to_string(Path::new(DEVICES).join(entry).join("clock_name"))
            .is_ok_and(|text| text.trim_end() == name)
    };
    entries.into_iter().find(named).map(|entry| Path::new("/dev").join(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_and_numbers_are_the_kernels() {
        let numbers = [
            libc::PTP_CLOCK_GETCAPS,
            libc::PTP_SYS_OFFSET_PRECISE,
            libc::PTP_SYS_OFFSET_EXTENDED,
            libc::PTP_SYS_OFFSET,
        ];
        // C libraries differ in the type of a request.
        let numbers = numbers.map(|number| number as u32);
        assert_eq!(numbers, [0x8050_3d01, 0xc040_3d08, 0xc4c0_3d09, 0x4340_3d05]);
        assert_eq!(size_of::<TimestampInfo>(), 44);
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        let open = |path: &str| PtpClock::open(Path::new(path), Method::Precise).unwrap_err().to_string();
        assert_eq!(open("/dev/no-such-device"), "No such file or directory");
        assert!(open("/dev/null").starts_with("it is no PTP clock: "));
        assert_eq!(
            ["", "lo", "no-such", "a-name-that-is-too-long"].map(device_of_interface),
            [const { None }; 4]
        );
        assert_eq!(device_of_name("no such clock"), None);
    }
}
