//! Reference clocks, between the engine and the shell: the shell opens their devices and sends what it reads there; it judges
//! nothing of it.

use crate::config::model::{Device, Fudge, Server, Target};
use crate::units::{Driver, Leap, NtpTimestamp, Seconds};
use std::path::PathBuf;

/// A device that is to be opened.
#[derive(Clone, PartialEq, Debug)]
pub struct ClockDevice {
    /// Its driver.
    pub driver: Driver,
    /// Which one of its kind.
    pub unit: u8,
    /// Where it is, and how it speaks.
    pub device: Device,
    /// Its `fudge` line: some flags change what is read.
    pub fudge: Fudge,
}

impl ClockDevice {
    /// The device of a `server` line, if that is of a reference clock with one.
    #[must_use]
    pub fn of(server: &Server) -> Option<Self> {
        let Target::RefClock { kind, unit } = server.target else { return None };
        let driver = Driver::of_number(kind).filter(|driver| *driver != Driver::Local)?;
        Some(Self { driver, unit, device: server.device.clone(), fudge: server.fudge })
    }

    /// Its file: what its line names, else the driver's.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        self.device.path.clone().or_else(|| self.driver.device(self.unit))
    }
}

/// What a device says.
#[derive(Clone, PartialEq, Debug)]
pub enum DeviceReport {
    /// It is open.
    Opened,
    /// It could not be opened, or was lost: why, in words. The engine asks for it again.
    Failed(String),
    /// A reading.
    Reading(Reading),
    /// It was to say something and did not, or what it sent is of no use.
    Trouble {
        /// What is wrong.
        trouble: Trouble,
        /// What it sent, as far as it is worth showing (`timecode`).
        text: String,
    },
}

/// What a reading stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reads {
    /// The time.
    Time,
    /// The beginning of a second, it does not say of which: the offset is within half a second of zero.
    Pulse,
}

/// A reading of a reference clock.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// What it stands for.
    pub reads: Reads,
    /// When the clock had this time, by the wall clock.
    pub at: NtpTimestamp,
    /// Clock minus wall clock, without any `fudge`.
    pub offset: Seconds,
    /// Its leap bits; [`Leap::Unsynchronised`]: it has lost its source, and the reading is of no use.
    pub leap: Leap,
    /// The precision that it claims, log2 seconds; `None`: the driver's.
    pub precision: Option<i8>,
    /// The most that this reading may be off, where the driver knows.
    pub error: Option<Seconds>,
    /// What it sent (`timecode`).
    pub text: String,
}

impl Reading {
    /// A reading of a driver that says no more than this.
    #[must_use]
    pub const fn new(reads: Reads, at: NtpTimestamp, offset: Seconds, text: String) -> Self {
        Self { reads, at, offset, leap: Leap::None, precision: None, error: None, text }
    }
}

/// What is wrong with a reference clock, as its events have it (RFC 9327).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trouble {
    /// Nothing came.
    NoReply,
    /// It cannot be read.
    BadFormat,
    /// The device failed.
    Fault,
    /// It has no fix, or it was written while it was read.
    BadSignal,
    /// Its date makes no sense.
    BadDate,
    /// Its time makes no sense.
    BadTime,
}
