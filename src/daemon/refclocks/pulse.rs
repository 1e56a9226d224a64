//! A device of pulses, for all drivers that have one.

use super::error::OpenError;
use crate::engine::contract::{ClockDevice, DeviceReport, Reading, Reads};
use crate::sys::pps::{self, Edge, PpsDevice};
use crate::units::UnixTime;
use nix::errno::Errno;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// An open device of pulses.
#[derive(Debug)]
pub(super) struct PulseDevice {
    device: PpsDevice,
    path: PathBuf,
    /// The number of the last pulse that was taken.
    taken: u32,
}

/// flag2 of a clock with pulses: the clear edge begins the second.
pub(super) const fn edge(device: &ClockDevice) -> Edge {
    if device.fudge.flags[1] { Edge::Clear } else { Edge::Assert }
}

/// A pulse came at `at` by the wall clock, where a second should begin.
pub(super) fn reading(at: UnixTime, text: String) -> DeviceReport {
    DeviceReport::Reading(Reading::new(Reads::Pulse, at.ntp(), at.to_nearest_second(), text))
}

impl PulseDevice {
    pub(super) fn open(path: &Path, edge: Edge) -> Result<Self, OpenError> {
        let device = PpsDevice::open(path, edge).map_err(|why| OpenError::Pulses(path.to_owned(), why))?;
        // A pulse of before is no new one; it may be hours old.
        let taken = device.last().ok().flatten().map_or(0, |pulse| pulse.sequence);
        Ok(Self { device, path: path.to_owned(), taken })
    }

    /// The device of pulses of a clock on a serial line: `ppspath`, else `other` if there is such a device, else the line itself.
    pub(super) fn of_line(
        device: &ClockDevice,
        other: &Path,
        path: &Path,
        line: BorrowedFd<'_>,
    ) -> Result<Self, OpenError> {
        let edge = edge(device);
        if let Some(path) = &device.device.pulse_path {
            return Self::open(path, edge);
        }
        if other.exists() {
            return Self::open(other, edge);
        }
        pps::pulses_of_line(line).map_err(|why| OpenError::LinePulses(path.to_owned(), why))?;
        let found =
            pps::device_of_line(path).ok_or_else(|| OpenError::LinePulses(path.to_owned(), Errno::ENODEV))?;
        Self::open(&found, edge)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The last pulse, if it has not been taken.
    pub(super) fn take(&mut self) -> Result<Option<UnixTime>, Errno> {
        let pulse = self.device.last()?.filter(|pulse| pulse.sequence != self.taken);
        if let Some(pulse) = pulse {
            self.taken = pulse.sequence;
        }
        Ok(pulse.map(|pulse| pulse.at))
    }
}
