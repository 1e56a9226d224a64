//! The drivers of reference clocks: what 127.127.TYPE.UNIT names.

use super::RefId;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// A driver of reference clocks that this daemon has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Driver {
    /// The undisciplined local clock.
    Local,
    /// A GPS receiver that sends sentences of NMEA 0183 over a serial line.
    Nmea,
    /// A pulse a second that the kernel stamps (RFC 2783).
    Pps,
    /// A segment of shared memory that another program writes.
    Shm,
    /// The JSON port of gpsd.
    GpsdJson,
    /// A PTP hardware clock.
    Phc,
    /// A socket that another program writes samples to.
    Sock,
}

impl Driver {
    /// All of them, by type.
    pub const ALL: [Self; 7] =
        [Self::Local, Self::Nmea, Self::Pps, Self::Shm, Self::GpsdJson, Self::Phc, Self::Sock];

    /// TYPE. Those that ntpd does not have stand above its types.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Local => 1,
            Self::Nmea => 20,
            Self::Pps => 22,
            Self::Shm => 28,
            Self::GpsdJson => 46,
            Self::Phc => 128,
            Self::Sock => 129,
        }
    }

    /// The driver of a type.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|driver| driver.number() == number)
    }

    /// Its name in events and statistics: `SHM(0)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "LOCAL",
            Self::Nmea => "GPS_NMEA",
            Self::Pps => "PPS",
            Self::Shm => "SHM",
            Self::GpsdJson => "GPSD_JSON",
            Self::Phc => "PHC",
            Self::Sock => "SOCK",
        }
    }

    /// What it is, as the clock variable `device` has it.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Local => "Undisciplined local clock",
            Self::Nmea => "NMEA GPS Clock",
            Self::Pps => "PPS Clock Discipline",
            Self::Shm => "SHM/Shared memory interface",
            Self::GpsdJson => "GPSD JSON client clock",
            Self::Phc => "PTP hardware clock",
            Self::Sock => "Socket of samples",
        }
    }

    /// The device of a unit where its line names no other one; nothing for a driver that reads none, or has it from its line only.
    #[must_use]
    pub fn device(self, unit: u8) -> Option<PathBuf> {
        let stem = match self {
            Self::Nmea | Self::GpsdJson => "gps",
            Self::Pps => "pps",
            Self::Phc => "ptp",
            Self::Local | Self::Shm | Self::Sock => return None,
        };
        // Of gpsd's, pulses have a unit of their own.
        let unit = if self == Self::GpsdJson { unit % Self::GPSD_PULSES } else { unit };
        Some(PathBuf::from(format!("/dev/{stem}{unit}")))
    }

    /// The device of the pulses of an NMEA receiver, unless its line names another one.
    #[must_use]
    pub fn pulse_device(unit: u8) -> PathBuf {
        PathBuf::from(format!("/dev/gpspps{unit}"))
    }

    /// Units of GPSD_JSON from this one on give the pulses of the receiver of the unit that is so much less.
    pub const GPSD_PULSES: u8 = 128;
    /// The speeds of an NMEA receiver's line that bits 4 to 6 of `mode` stand for, bits a second; the first also for what is behind the
    /// last.
    pub const NMEA_SPEEDS: [u32; 6] = [4800, 9600, 19_200, 38_400, 57_600, 115_200];
    /// A SHM clock's `time2` is the limit of its difference to the system's time if it is one of these, seconds.
    pub const SHM_LIMITS: RangeInclusive<f64> = 1.0..=86_400.0;

    /// Its reference identifier without `fudge`.
    #[must_use]
    pub fn refid(self) -> RefId {
        match self {
            Self::Local => RefId::LOCL,
            Self::Nmea => RefId::from_text(b"GPS"),
            Self::Pps => RefId::from_text(b"PPS"),
            Self::Shm => RefId::from_text(b"SHM"),
            Self::GpsdJson => RefId::from_text(b"GPSD"),
            Self::Phc => RefId::from_text(b"PHC"),
            Self::Sock => RefId::from_text(b"SOCK"),
        }
    }
}

/// A reference clock's name in events, `SHM(0)`; nothing for other addresses. Those without a driver have their type in it.
#[must_use]
pub fn clock_name(address: IpAddr) -> Option<String> {
    let IpAddr::V4(v4) = address else { return None };
    match v4.octets() {
        [127, 127, number, unit] => Some(match Driver::of_number(number) {
            Some(driver) => format!("{}({unit})", driver.name()),
            None => format!("REFCLK({number},{unit})"),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_have_names() {
        let name = |text: &str| clock_name(text.parse().unwrap());
        assert_eq!(name("127.127.28.3").as_deref(), Some("SHM(3)"));
        assert_eq!(name("127.127.8.1").as_deref(), Some("REFCLK(8,1)"));
        assert_eq!((name("127.0.0.1"), name("::1")), (None, None));
        assert!(Driver::ALL.iter().all(|driver| Driver::of_number(driver.number()) == Some(*driver)));
    }
}
